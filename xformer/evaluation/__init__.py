"""Evaluation: masked-LM bits per byte, retrieval, and the geometry of the space, beside baselines."""
