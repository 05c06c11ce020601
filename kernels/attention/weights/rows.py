"""`attention_rows`: the attention weights of chosen queries.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads (G divides H), D head
size, R rows of the bias table; n chosen rows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...backend import Backend
from ..checks import check_inputs, check_tensor, longest_sequence
from ..dispatch import choose_backend
from ..options import AttentionOptions
from .anchor import anchor_of
from .reference import reference_rows
from .torch_backend import rows_torch


@torch.no_grad()
def attention_rows(
    q: Tensor,
    k: Tensor,
    lse: Tensor,
    rows: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor | None = None,
    *,
    max_length_q: int | None = None,
    max_length_k: int | None = None,
    causal: bool = False,
    window: int | None = None,
    alibi_slopes: Tensor | None = None,
    bias_table: Tensor | None = None,
    bias_max_distance: int = 128,
    softcap: float | None = None,
    scale: float | None = None,
    sink: Tensor | None = None,
    backend: Backend | None = None,
) -> Tensor:
    """The attention weights of chosen queries, before dropout, without the whole matrix in memory.

    Call it with what `attention` was called with and the lse that it returned. Nothing has a gradient, and
    inputs are never changed.

    Args:
        q: (T, H, D), fp64, fp32, fp16 or bf16, any strides.
        k: (S, G, D), of q's dtype.
        lse: (T, H) log-sum-exp of each row's scores, sink included, in fp32, or fp64 for fp64 inputs.
        rows: (n,) int32 or int64: which rows of q, from 0 to T - 1, in any order; a row may occur several
            times. Checked on the CPU. On a GPU that would wait for the device, and a row that does not exist
            gives 0.
        cu_seqlens_q: (B+1,) int32 or int64, as in `attention`.
        cu_seqlens_k: (B+1,), the same for keys; left out, sequences have as many keys as queries.
        max_length_q: as in `attention`; not needed.
        max_length_k: at least the greatest number of keys in a sequence, and the width of the result. Left
            out, it is read from `cu_seqlens_k`, which waits for the device and cannot be compiled.
        causal: as in `attention`.
        window: as in `attention`.
        alibi_slopes: (H,), as in `attention`.
        bias_table: (R, H), as in `attention`.
        bias_max_distance: as in `attention`.
        softcap: as in `attention`.
        scale: as in `attention`.
        sink: (H,), as in `attention`; with it, a row's weights sum to less than 1.
        backend: as in `attention`.

    Returns:
        (n, H, max_length_k) in lse's dtype: weights of the keys of the row's own sequence; 0 after its last
        key, where keys are hidden, and in a row whose lse is -inf.

    Raises:
        TypeError: a tensor has a dtype or an argument a type that does not fit.
        ValueError: shapes or options do not fit together, or a row does not exist.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    cu_seqlens_k, max_length_k = check_inputs(q, k, k, cu_seqlens_q, cu_seqlens_k, max_length_q, max_length_k)
    options = AttentionOptions(
        1.0 / math.sqrt(q.shape[2]) if scale is None else scale,
        causal, window, alibi_slopes, bias_table, bias_max_distance, softcap, sink=sink,
    )  # fmt: skip
    options.check(q)
    anchor = anchor_of(lse, q, sink)
    _check_rows(rows, q)
    chosen = choose_backend(backend, q, options)
    width = longest_sequence(cu_seqlens_k, max_length_k)
    if chosen == "reference":
        return reference_rows(q, k, anchor, rows, cu_seqlens_q, cu_seqlens_k, options, width)
    arguments = (q, k, anchor, rows, cu_seqlens_q, cu_seqlens_k, *options.flat(), width)
    if chosen == "torch":
        return rows_torch(*arguments)
    from .triton_backend import rows_triton  # triton exists only on some machines

    return rows_triton(*arguments)


def _check_rows(rows: Tensor, q: Tensor) -> None:
    check_tensor("rows", rows)
    if rows.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"rows: expected int32 or int64, got {rows.dtype}")
    if rows.dim() != 1:
        raise ValueError(f"rows: expected shape (rows,), got {tuple(rows.shape)}")
    if rows.device != q.device:
        raise ValueError(f"rows: expected q's device {q.device}, got {rows.device}")
    if rows.device.type != "cpu" or torch.compiler.is_compiling() or rows.numel() == 0:
        return  # looking at the values would wait for the device, or break the graph
    least, greatest = int(rows.min()), int(rows.max())
    if least < 0 or greatest >= q.shape[0]:
        raise ValueError(
            f"rows: expected rows of q from 0 to {q.shape[0] - 1}, got {least if least < 0 else greatest}"
        )
