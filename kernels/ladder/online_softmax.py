"""Rung 2, one kernel: a program takes one query of one head and walks over the keys of its sequence.

Shapes: T tokens, B sequences, H heads, D head size, N tokens of one sequence; BLOCK_N keys a step. BLOCK_D is
D rounded up to a power of two.

This is the recurrence of rung 1, with m, l, acc and the block's scores in registers: only q, k and v are
read, and only the output is written. The launch needs no length but the greatest, so it does not wait for the
device.

Every query reads all keys and values of its sequence: 4 N D operations on 2 N D numbers, one operation a byte
in half precision.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .shared import ONE_QUERY, attend_by


@triton.jit(do_not_specialize=["n_heads"])
def ladder_online_softmax(
    q, k, v, out, cu_seqlens, n_heads, scale,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute attention of one query of one head. Grid: (max_length, H, B)."""
    row, head, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start = tl.load(cu_seqlens + sequence).to(tl.int64)
    length = (tl.load(cu_seqlens + sequence + 1) - start).to(tl.int32)
    if row >= length:
        return
    stride = n_heads * D
    first = start * stride + head * D
    columns = tl.arange(0, BLOCK_D)
    mine = first + row.to(tl.int64) * stride + columns
    query = tl.load(q + mine, mask=columns < D, other=0.0).to(tl.float32)
    row_max = float("-inf")
    row_sum = 0.0
    acc = tl.zeros([BLOCK_D], tl.float32)
    for begin in range(0, length, BLOCK_N):
        keys = begin + tl.arange(0, BLOCK_N)
        at = first + keys[:, None].to(tl.int64) * stride + columns[None, :]
        inside = (keys[:, None] < length) & (columns[None, :] < D)
        key = tl.load(k + at, mask=inside, other=0.0).to(tl.float32)
        score = tl.sum(query[None, :] * key, 1) * scale
        score = tl.where(keys < length, score, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(score, 0))
        rescale = tl.exp(row_max - new_max)
        weight = tl.exp(score - new_max)
        row_sum = row_sum * rescale + tl.sum(weight, 0)
        value = tl.load(v + at, mask=inside, other=0.0).to(tl.float32)
        acc = acc * rescale + tl.sum(weight[:, None] * value, 0)
        row_max = new_max
    tl.store(out + mine, (acc / row_sum).to(out.dtype.element_ty), mask=columns < D)


def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_length: int) -> Tensor:
    """Attention of each sequence to itself; arguments and result as in `naive.attend`.

    Raises:
        ValueError: q, k and v are not what `check_inputs` asks for.
    """
    return attend_by(ladder_online_softmax, q, k, v, cu_seqlens, max_length, q.shape[2] ** -0.5, ONE_QUERY)
