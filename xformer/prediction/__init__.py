"""Prediction of masked tokens."""
