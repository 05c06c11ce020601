"""Operations over packed sequences: each a public function with several backends of one meaning.

Depends on torch, and on triton where a Triton backend is asked for; on nothing else.
"""

from .attention import (
    AttentionStatistics,
    attention,
    attention_rows,
    attention_statistics,
    relative_buckets,
)

__all__ = ["AttentionStatistics", "attention", "attention_rows", "attention_statistics", "relative_buckets"]
