"""Understand, measure and train small multilingual Transformers."""

__version__ = "0.2.0"
