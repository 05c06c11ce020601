"""Models of other libraries become runs."""
