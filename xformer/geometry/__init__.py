"""Geometry of vectors across languages: pure functions of tensors, for evaluation and inspection."""
