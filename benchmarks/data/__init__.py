"""Import and decontamination by two revisions, in turns: speed and peak memory."""
