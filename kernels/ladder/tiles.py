"""Rung 4, tiles: a program takes BLOCK_M queries and BLOCK_N keys at a time, on the tensor cores.

Shapes: T tokens, B sequences, H heads, D head size, N tokens of one sequence; a tile is BLOCK_M queries by
BLOCK_N keys. BLOCK_D is D rounded up to a power of two.

A block of keys that has been fetched now serves BLOCK_M queries instead of one: 4 BLOCK_M BLOCK_N D
operations on 2 BLOCK_N D numbers, BLOCK_M operations a byte in half precision instead of one. And both
products are matrix products, which tensor cores do: scores (BLOCK_M, D) x (D, BLOCK_N), output (BLOCK_M,
BLOCK_N) x (BLOCK_N, D). The queries stay in place for the whole loop over keys; m, l and acc are those of
BLOCK_M rows.

Only the last block of keys can reach over the end of the sequence, so only that block is masked: there are
two loops with the same body, compiled twice.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .exp2 import LOG2_E
from .shared import attend_by, tile_options


@triton.jit
def update(acc, row_max, row_sum, score, value, scale):
    """Update the state of BLOCK_M rows with a block of keys: the recurrence, as in the rung before."""
    new_max = tl.maximum(row_max, tl.max(score, 1))
    rescale = tl.exp2((row_max - new_max) * scale)
    weight = tl.exp2(score * scale - (new_max * scale)[:, None])
    row_sum = row_sum * rescale + tl.sum(weight, 1)
    acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None], input_precision="ieee")
    return acc, new_max, row_sum


@triton.jit
def _walk(
    acc, row_max, row_sum, query, k, v, first, stride, begin, end, length, columns, scale,
    MASKED: tl.constexpr, D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Update the state with the keys [begin, end); they may reach beyond the sequence only if MASKED."""
    for start in range(begin, end, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        at = first + keys[:, None].to(tl.int64) * stride + columns[None, :]
        inside = columns[None, :] < D
        if MASKED:
            inside = inside & (keys[:, None] < length)
        key = tl.load(k + at, mask=inside, other=0.0)
        score = tl.dot(query, tl.trans(key), input_precision="ieee")
        if MASKED:
            score = tl.where(keys[None, :] < length, score, float("-inf"))
        value = tl.load(v + at, mask=inside, other=0.0)
        acc, row_max, row_sum = update(acc, row_max, row_sum, score, value, scale)
    return acc, row_max, row_sum


@triton.jit(do_not_specialize=["n_heads"])
def ladder_tiles(
    q, k, v, out, cu_seqlens, n_heads, scale,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute attention of BLOCK_M queries of one head. Grid: (cdiv(max_length, BLOCK_M), H, B)."""
    block, head, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start = tl.load(cu_seqlens + sequence).to(tl.int64)
    length = (tl.load(cu_seqlens + sequence + 1) - start).to(tl.int32)
    if block * BLOCK_M >= length:
        return
    stride = n_heads * D
    first = start * stride + head * D
    columns = tl.arange(0, BLOCK_D)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    mine = first + rows[:, None].to(tl.int64) * stride + columns[None, :]
    inside = (rows[:, None] < length) & (columns[None, :] < D)
    query = tl.load(q + mine, mask=inside, other=0.0)
    acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    whole = length // BLOCK_N * BLOCK_N
    acc, row_max, row_sum = _walk(
        acc, row_max, row_sum, query, k, v, first, stride, 0, whole, length, columns, scale, False, D, BLOCK_N
    )
    acc, row_max, row_sum = _walk(
        acc, row_max, row_sum, query, k, v, first, stride, whole, length, length, columns, scale,
        True, D, BLOCK_N,
    )  # fmt: skip
    tl.store(out + mine, (acc / row_sum[:, None]).to(out.dtype.element_ty), mask=inside)


def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_length: int) -> Tensor:
    """Attention of each sequence to itself; arguments and result as in `naive.attend`.

    Raises:
        ValueError: q, k and v are not what `check_inputs` asks for.
    """
    scale = LOG2_E * q.shape[2] ** -0.5
    return attend_by(ladder_tiles, q, k, v, cu_seqlens, max_length, scale, tile_options(q))
