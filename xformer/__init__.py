"""Understand, measure and train small multilingual Transformers."""

__version__ = "0.1.0"
