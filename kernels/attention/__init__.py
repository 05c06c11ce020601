"""Attention over packed sequences, what its weights look like, and the buckets of its position bias."""

from .op import attention
from .relative import relative_buckets
from .weights.rows import attention_rows
from .weights.statistics import AttentionStatistics, attention_statistics

__all__ = ["AttentionStatistics", "attention", "attention_rows", "attention_statistics", "relative_buckets"]
