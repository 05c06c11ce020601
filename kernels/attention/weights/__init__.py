"""Attention weights without their matrix: statistics of every row, and the weights of chosen rows."""
