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
from .embedding_norm import embedding_norm
from .glu import glu, squared_relu
from .layer_norm import layer_norm
from .linear_cross_entropy import linear_cross_entropy
from .rms_norm import rms_norm
from .rotary import rotary

__all__ = [
    "AttentionStatistics",
    "attention",
    "attention_rows",
    "attention_statistics",
    "embedding_norm",
    "glu",
    "layer_norm",
    "linear_cross_entropy",
    "relative_buckets",
    "rms_norm",
    "rotary",
    "squared_relu",
]
