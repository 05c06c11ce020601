"""The tensors of a run that have a row for each piece, under another vocabulary.

Shapes: V pieces before, K after, C d_model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

_TABLES = ("encoder.embeddings.tok_embeddings.weight", "masked_lm.weight", "masked_lm.bias")
"""(V, C), (V, C) where the decoder is not tied, and (V,)."""


def with_rows(
    tensors: Mapping[str, Tensor], rows: int, change: Callable[[str, Tensor], Tensor]
) -> dict[str, Tensor]:
    """Weights or moments of an optimizer, with other rows in those that have one for each piece.

    Args:
        tensors: by name; the name of a moment ends in that of its parameter.
        rows: V.
        change: makes (K, …) of the name and (V, …).
    """
    return {
        name: change(name, tensor).contiguous()
        if name.endswith(_TABLES) and tensor.ndim and len(tensor) == rows
        else tensor
        for name, tensor in tensors.items()
    }
