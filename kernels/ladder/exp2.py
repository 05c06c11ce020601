"""Rung 3, exp2: scale, maximum and change of base in one instruction.

Shapes: T tokens, B sequences, H heads, D head size, N tokens of one sequence; BLOCK_N keys a step. BLOCK_D is
D rounded up to a power of two.

Hardware computes powers of 2, not of e. With raw scores r = q . k, their running maximum m and
c = log2(e) / √D,

    e^(s - max s) = 2^(c r - c m)

so a weight takes one fused multiply-add, with the same c m for the whole row, and one power of 2. The rung
before divides r by √D, subtracts the maximum and multiplies by log2(e): three instructions before the same
power. m is a maximum of raw scores; c is positive, so the greatest r is the greatest score.

Nothing else is new.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .shared import ONE_QUERY, attend_by

LOG2_E = 1.4426950408889634


@triton.jit(do_not_specialize=["n_heads"])
def ladder_exp2(
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
        score = tl.sum(query[None, :] * key, 1)
        score = tl.where(keys < length, score, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(score, 0))
        rescale = tl.exp2((row_max - new_max) * scale)
        weight = tl.exp2(score * scale - new_max * scale)
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
    return attend_by(ladder_exp2, q, k, v, cu_seqlens, max_length, LOG2_E * q.shape[2] ** -0.5, ONE_QUERY)
