"""Processes that work together: how they are started, and what they tell each other."""
