"""Summaries: sentences of a text chosen by an encoder's vectors."""
