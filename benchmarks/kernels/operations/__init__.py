"""The operations that the bench measures."""

from __future__ import annotations

from typing import Any

from ..operation import Operation
from .attention import Attention
from .attention_statistics import AttentionStatistics
from .ceilings import Copy, Matmul
from .embedding_norm import EmbeddingNorm
from .glu import Glu
from .ladder import Ladder, LadderBackward
from .linear_cross_entropy import LinearCrossEntropy
from .norms import LayerNorm, RMSNorm
from .rotary import Rotary


def operations() -> list[Operation[Any]]:
    """All operations, those with goals first, so that they are measured when time is short."""
    return [
        Attention(),
        LinearCrossEntropy(),
        LayerNorm(),
        RMSNorm(),
        AttentionStatistics(),
        Rotary(),
        Glu(),
        EmbeddingNorm(),
        Ladder(),
        LadderBackward(),
        Copy(),
        Matmul(),
    ]
