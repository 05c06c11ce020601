"""Sentence vectors of texts."""
