"""The proof that stopping leaves no trace: one run that never stops, one that is killed again and again."""
