"""Download of public corpora: what is asked of each source, and files that arrive whole or not at all."""
