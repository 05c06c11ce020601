"""The forward Triton kernel: online softmax over a packed batch (Milakov & Gimelshein 2018; Dao 2023).

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size; in one
sequence M queries and N keys. A program takes BLOCK_M queries of one head of one sequence and walks over its
keys, BLOCK_N at a time. BLOCK_D is D rounded up to a power of two.

For a row of scores s, with the running maximum m and sum l, a block of keys changes

    m' = max(m, max s)    l' = l * e^(m - m') + sum e^(s - m')    acc' = acc * e^(m - m') + e^(s - m') v

and in the end out = acc / l and lse = m + log l. Powers are of 2, not e, because that is what the hardware
has: log2 e is folded into the scale. Blocks wholly visible to all rows skip the mask; blocks wholly hidden
are not visited.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

from .tiles import LN_2, bounds, exponential, load_slope, load_tile, penalize, place


@triton.jit
def _walk(
    acc, row_max, row_sum, query, key_base, value_base, begin, end,
    rows, columns, shift, n_keys, scale, slope, half_window, stride_kt, stride_kd, stride_vt, stride_vd,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, MASKED: tl.constexpr,
    FOLDED: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Take in the keys [begin, end)."""
    for start in range(begin, end, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        key = load_tile(key_base, keys, columns, stride_kt, stride_kd, n_keys, D, BLOCK_D, MASKED)
        score = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        if MASKED or ALIBI:
            distance = keys[None, :] - (rows + shift)[:, None]
            score = penalize(score, distance, slope, half_window, CAUSAL, WINDOW, ALIBI, MASKED)
        if MASKED:
            score = tl.where(keys[None, :] < n_keys, score, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(score, 1))
        anchor = new_max
        if MASKED:
            # A row that has seen no key yet: -inf - -inf would be NaN.
            anchor = tl.where(new_max == float("-inf"), 0.0, new_max)
        weight = exponential(score - anchor[:, None], FOLDED)
        rescale = exponential(row_max - anchor, FOLDED)
        row_sum = row_sum * rescale + tl.sum(weight, 1)
        value = load_tile(value_base, keys, columns, stride_vt, stride_vd, n_keys, D, BLOCK_D, MASKED)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None], input_precision="ieee")
        row_max = new_max
    return acc, row_max, row_sum


@triton.jit(do_not_specialize=["n_blocks", "n_heads", "group", "half_window"])
def attention_forward(
    q, k, v, out, lse, cu_seqlens_q, cu_seqlens_k, slopes,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd, stride_vt, stride_vh, stride_vd,
    n_blocks, n_heads, group, scale, half_window,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, FOLDED: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute attention of BLOCK_M queries of one head. Grid: (n_blocks * H * B,)."""
    block, head, sequence = place(tl.program_id(0), n_blocks, n_heads)
    start_q = tl.load(cu_seqlens_q + sequence).to(tl.int64)
    n_queries = (tl.load(cu_seqlens_q + sequence + 1) - start_q).to(tl.int32)
    first = block * BLOCK_M
    if first >= n_queries:
        return
    start_k = tl.load(cu_seqlens_k + sequence).to(tl.int64)
    n_keys = (tl.load(cu_seqlens_k + sequence + 1) - start_k).to(tl.int32)
    shift = n_keys - n_queries

    rows = first + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    query_base = q + start_q * stride_qt + head.to(tl.int64) * stride_qh
    key_base = k + start_k * stride_kt + (head // group).to(tl.int64) * stride_kh
    value_base = v + start_k * stride_vt + (head // group).to(tl.int64) * stride_vh
    query = load_tile(query_base, rows, columns, stride_qt, stride_qd, n_queries, D, BLOCK_D, True)
    slope = 0.0
    if ALIBI:
        slope = load_slope(slopes, head, FOLDED)

    acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    begin, full_begin, full_end, end = bounds(
        first,
        n_keys,
        shift,
        half_window,
        BLOCK_M,
        BLOCK_N,
        2 if WINDOW else 0,
        1 if CAUSAL else (2 if WINDOW else 0),
    )
    for part in tl.static_range(3):
        if WINDOW or part > 0:
            acc, row_max, row_sum = _walk(
                acc, row_max, row_sum, query, key_base, value_base,
                begin if part == 0 else (full_begin if part == 1 else full_end),
                full_begin if part == 0 else (full_end if part == 1 else end),
                rows, columns, shift, n_keys, scale, slope, half_window,
                stride_kt, stride_kd, stride_vt, stride_vd,
                CAUSAL, WINDOW, ALIBI, part != 1, FOLDED, D, BLOCK_D, BLOCK_N,
            )  # fmt: skip

    blind = row_sum == 0.0
    acc = acc / tl.where(blind, 1.0, row_sum)[:, None]
    log2_sum = tl.log2(tl.where(blind, 1.0, row_sum))
    row_lse = (row_max + log2_sum) * LN_2 if FOLDED else row_max + log2_sum * LN_2
    row_lse = tl.where(blind, float("-inf"), row_lse)
    row = (start_q + rows) * n_heads + head
    tl.store(lse + row, row_lse, mask=rows < n_queries)
    inside = (rows[:, None] < n_queries) & (columns[None, :] < D)
    tl.store(out + row[:, None] * D + columns[None, :], acc.to(out.dtype.element_ty), mask=inside)
