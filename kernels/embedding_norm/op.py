"""Embedding with LayerNorm: a row of the table for each token, plus the row of its position, normalised.

Shapes: T tokens, V vocabulary, P positions, C width.

    s = table[token] + position_table[position]        out = LayerNorm(s)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..backend import Backend
from ..norm.layer_norm import check_norm, layer_norm, triton_lacks
from ..operation import choose


def embedding_norm(
    tokens: Tensor,
    table: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    eps: float,
    positions: Tensor | None = None,
    position_table: Tensor | None = None,
    backend: Backend | None = None,
) -> Tensor:
    """Look up tokens and positions, add, normalise.

    Args:
        tokens: (T,) int64 or int32, each in 0 … V - 1. Another value raises on `torch` on a CPU; on a GPU
            PyTorch stops the process. `triton` gives NaN.
        table: (V, C), fp64, fp32, fp16 or bf16. Its gradient is dense, and the same bits in every run.
        weight: (C,), of any floating dtype.
        bias: (C,), of weight's dtype, or None.
        eps: added to the variance.
        positions: (T,) int64 or int32, each in 0 … P - 1; else as for `tokens`.
        position_table: (P, C), of the table's dtype, with the same kind of gradient; given if and only if
            `positions` are.
        backend: `"triton"`: one fused kernel forward, for GPUs (or TRITON_INTERPRET=1), C up to 8,192;
            it keeps neither the sum nor a sorted copy of its gradient. `"torch"`: PyTorch's kernels.
            `"reference"`: the definition. Left out: `"triton"` on a GPU where it can, otherwise `"torch"`.

    Returns:
        (T, C) in the table's dtype.

    Raises:
        ValueError: shapes or dtypes do not fit together.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    check_norm(table, weight, bias, None)
    _check(tokens, table, positions, position_table)
    lack = triton_lacks(table)
    chosen = choose(backend, table, lack, position_table, weight, bias, plain_torch=True)
    if chosen == "triton":
        from .triton import embed  # triton exists only on some machines

        tensors = (tokens, positions, table, position_table, weight, bias)
        out: Tensor = embed(*(None if x is None else x.contiguous() for x in tensors), eps)
        return out
    total = F.embedding(tokens, table)
    if positions is not None and position_table is not None:
        total = total + F.embedding(positions, position_table)
    return layer_norm(total, weight, bias, eps=eps, backend=chosen)


def _check(tokens: Tensor, table: Tensor, positions: Tensor | None, position_table: Tensor | None) -> None:
    integers = (torch.int64, torch.int32)
    if tokens.dim() != 1 or tokens.dtype not in integers:
        raise ValueError(f"tokens: expected integers (tokens,), got {tokens.dtype} {tuple(tokens.shape)}")
    if positions is None or position_table is None:
        if positions is not position_table:
            raise ValueError("positions, position_table: expected both or neither, got one")
        return
    if positions.shape != tokens.shape or positions.dtype not in integers:
        got = f"{positions.dtype} {tuple(positions.shape)}"
        raise ValueError(f"positions: expected integers {tuple(tokens.shape)}, got {got}")
    if position_table.shape[1:] != table.shape[1:] or position_table.dtype != table.dtype:
        expected = f"{table.dtype} (positions, {table.shape[1]})"
        got = f"{position_table.dtype} {tuple(position_table.shape)}"
        raise ValueError(f"position_table: expected {expected}, got {got}")
