"""The forward Triton kernel: online softmax over a packed batch (Milakov & Gimelshein 2018; Dao 2023).

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size; in one sequence M
queries and N keys. A program takes BLOCK_M queries of one head of one sequence and walks over its keys, BLOCK_N at a
time. BLOCK_D is D rounded up to a power of two.

For a row of scores s, with the running maximum m and sum l, a block of keys changes

    m' = max(m, max s)    l' = l * e^(m - m') + sum e^(s - m')    acc' = acc * e^(m - m') + e^(s - m') v

and in the end out = acc / l and lse = m + log l. Powers are of 2, not e, because that is what the hardware has: log2 e
is folded into the scale. Blocks wholly visible to all rows skip the mask; blocks wholly hidden are not visited.
"""

from __future__ import annotations

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def load_tile(base, rows, columns, stride_row, stride_column, n_rows, D: tl.constexpr, BLOCK_D: tl.constexpr, MASK_ROWS: tl.constexpr):  # fmt: skip  # noqa: E501
    """(rows, columns) of a matrix at `base`; zeros from row `n_rows` (if MASK_ROWS) and from column D on."""
    at = base + rows[:, None].to(tl.int64) * stride_row + columns[None, :] * stride_column
    if MASK_ROWS:
        if BLOCK_D == D:
            return tl.load(at, mask=rows[:, None] < n_rows, other=0.0)
        return tl.load(at, mask=(rows[:, None] < n_rows) & (columns[None, :] < D), other=0.0)
    if BLOCK_D == D:
        return tl.load(at)
    return tl.load(at, mask=columns[None, :] < D, other=0.0)


@triton.jit
def place(program, n_blocks, n_heads):
    """Which (block, head, sequence) a program takes: blocks of one head are neighbours, for they share its keys."""
    return program % n_blocks, (program // n_blocks) % n_heads, program // n_blocks // n_heads


@triton.jit
def bounds(first, n, shift, half_window, BLOCK: tl.constexpr, STEP: tl.constexpr, BEHIND: tl.constexpr, AHEAD: tl.constexpr):  # fmt: skip  # noqa: E501
    """What a block of BLOCK rows from `first` on sees of n columns, when row r stands at column r + shift.

    BEHIND says how far back a row sees, AHEAD how far forward: 0 without bound, 1 not past its own column, 2 up to
    `half_window` away.

    Returns:
        begin, full_begin, full_end, end: columns [begin, end) may be visible to some row; [full_begin, full_end) are
        visible to all, in whole steps. `begin` and the full ones are multiples of STEP; an empty full range lies
        at `begin`, so that walking [begin, full_begin), [full_begin, full_end), [full_end, end) sees all once.
    """
    low = first + shift
    high = low + BLOCK - 1
    begin = 0
    full_begin = 0
    end = n
    full_end = n
    if BEHIND == 1:
        begin = low
        full_begin = high
    if BEHIND == 2:
        begin = low - half_window
        full_begin = high - half_window
    if AHEAD == 1:
        end = tl.minimum(n, high + 1)
        full_end = tl.minimum(n, low + 1)
    if AHEAD == 2:
        end = tl.minimum(n, high + half_window + 1)
        full_end = tl.minimum(n, low + half_window + 1)
    begin = tl.maximum(begin, 0) // STEP * STEP
    full_begin = (tl.maximum(full_begin, 0) + STEP - 1) // STEP * STEP
    full_end = tl.maximum(full_end, 0) // STEP * STEP
    whole = full_begin < full_end
    return begin, tl.where(whole, full_begin, begin), tl.where(whole, full_end, begin), end


@triton.jit
def penalize(score, distance, slope, half_window, CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, MASKED: tl.constexpr):  # fmt: skip  # noqa: E501
    """Scores with ALiBi's penalty, and -inf at distances that are not visible."""
    if ALIBI:
        score -= slope * tl.abs(distance).to(tl.float32)
    if MASKED and CAUSAL:
        score = tl.where(distance <= 0, score, float("-inf"))
    if MASKED and WINDOW:
        score = tl.where(tl.abs(distance) <= half_window, score, float("-inf"))
    return score


@triton.jit
def _walk(
    acc, row_max, row_sum, query, key_base, value_base, begin, end,
    rows, columns, shift, n_keys, scale, slope, half_window, stride_kt, stride_kd, stride_vt, stride_vd,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, MASKED: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
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
        weight = tl.exp2(score - anchor[:, None])
        rescale = tl.exp2(row_max - anchor)
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
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Attention of BLOCK_M queries of one head. Grid: (n_blocks * H * B,), n_blocks of the longest sequence."""
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
        slope = tl.load(slopes + head).to(tl.float32) * LOG2_E

    acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    begin, full_begin, full_end, end = bounds(
        first, n_keys, shift, half_window, BLOCK_M, BLOCK_N, 2 if WINDOW else 0, 1 if CAUSAL else (2 if WINDOW else 0)
    )
    if WINDOW:
        acc, row_max, row_sum = _walk(
            acc, row_max, row_sum, query, key_base, value_base, begin, full_begin,
            rows, columns, shift, n_keys, scale, slope, half_window, stride_kt, stride_kd, stride_vt, stride_vd,
            CAUSAL, WINDOW, ALIBI, True, D, BLOCK_D, BLOCK_N,
        )  # fmt: skip
    acc, row_max, row_sum = _walk(
        acc, row_max, row_sum, query, key_base, value_base, full_begin, full_end,
        rows, columns, shift, n_keys, scale, slope, half_window, stride_kt, stride_kd, stride_vt, stride_vd,
        CAUSAL, WINDOW, ALIBI, False, D, BLOCK_D, BLOCK_N,
    )  # fmt: skip
    acc, row_max, row_sum = _walk(
        acc, row_max, row_sum, query, key_base, value_base, full_end, end,
        rows, columns, shift, n_keys, scale, slope, half_window, stride_kt, stride_kd, stride_vt, stride_vd,
        CAUSAL, WINDOW, ALIBI, True, D, BLOCK_D, BLOCK_N,
    )  # fmt: skip

    blind = row_sum == 0.0
    acc = acc / tl.where(blind, 1.0, row_sum)[:, None]
    row_lse = tl.where(blind, float("-inf"), (row_max + tl.log2(tl.where(blind, 1.0, row_sum))) * LN_2)
    row = (start_q + rows) * n_heads + head
    tl.store(lse + row, row_lse, mask=rows < n_queries)
    inside = (rows[:, None] < n_queries) & (columns[None, :] < D)
    tl.store(out + row[:, None] * D + columns[None, :], acc.to(out.dtype.element_ty), mask=inside)
