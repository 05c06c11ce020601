"""Analyses of activations and attention: pure functions on tensors and traces."""
