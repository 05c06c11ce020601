"""Bitext mining: which lines of two texts are translations of one another."""
