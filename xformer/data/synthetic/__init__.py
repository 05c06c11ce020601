"""Labelled examples made from translations: pairs that are translations or not, and mixed text."""
