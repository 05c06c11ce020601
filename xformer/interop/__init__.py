"""Models converted from and to other libraries."""
