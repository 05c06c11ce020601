"""Two revisions' steps in short bursts, in turns: differences of a few thousandths."""
