"""Attention over packed sequences: `attention`, and the bucket function of its relative-position bias."""

from .op import attention
from .relative import relative_buckets

__all__ = ["attention", "relative_buckets"]
