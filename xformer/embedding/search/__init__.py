"""Exact search: the vectors with the largest products, in memory that does not grow with their number."""
