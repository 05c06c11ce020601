"""Operations on packed sequences: public functions, each with several backends that compute the same.

Depends on torch, and on triton where a Triton backend is asked for; on nothing else.
"""

# Where Python looks into this checkout, transformers finds this folder as the package `kernels` of another
# project, and imports it. Then it is empty: an operator of PyTorch that is registered a second time ends the
# one in use.
if __name__ == "xformer.kernels":
    from .attention import (
        AttentionStatistics,
        attention,
        attention_rows,
        attention_statistics,
        attention_step,
        relative_buckets,
    )
    from .embedding_norm.op import embedding_norm
    from .glu.op import glu, squared_relu
    from .linear_cross_entropy import linear_cross_entropy
    from .norm.layer_norm import layer_norm
    from .norm.rms_norm import rms_norm
    from .rotary.op import rotary

__all__ = [
    "AttentionStatistics",
    "attention",
    "attention_rows",
    "attention_statistics",
    "attention_step",
    "embedding_norm",
    "glu",
    "layer_norm",
    "linear_cross_entropy",
    "relative_buckets",
    "rms_norm",
    "rotary",
    "squared_relu",
]
