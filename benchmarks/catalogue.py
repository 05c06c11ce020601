"""Every operation that the bench knows."""

from __future__ import annotations

from typing import Any

from .operation import Operation
from .operations.attention import Attention
from .operations.attention_statistics import AttentionStatistics
from .operations.ceilings import Copy, Matmul
from .operations.embedding_norm import EmbeddingNorm
from .operations.glu import Glu
from .operations.ladder import Ladder
from .operations.linear_cross_entropy import LinearCrossEntropy
from .operations.norms import LayerNorm, RMSNorm
from .operations.rotary import Rotary


def operations() -> list[Operation[Any]]:
    """All of them: those with goals first, so that they are measured when time is short."""
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
        Copy(),
        Matmul(),
    ]
