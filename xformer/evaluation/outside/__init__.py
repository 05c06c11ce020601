"""Evaluation on text from outside a run: any corpus, and folders of line-aligned files."""
