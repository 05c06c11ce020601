"""Attention over packed sequences, statistics and rows of its weights, buckets of its position bias."""

from .op import attention
from .relative_position import relative_buckets
from .step import attention_step
from .weights.rows import attention_rows
from .weights.statistics import AttentionStatistics, attention_statistics

__all__ = [
    "AttentionStatistics",
    "attention",
    "attention_rows",
    "attention_statistics",
    "attention_step",
    "relative_buckets",
]
