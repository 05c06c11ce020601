"""The forward Triton kernel: online softmax over a packed batch (Milakov & Gimelshein 2018; Dao 2023).

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size; in one
sequence M queries and N keys. A program takes BLOCK_M queries of one head of one sequence and walks over its
keys, BLOCK_N at a time. D is held in two parts, BLOCK_D and BLOCK_E (see `tiles`).

For a row of scores s, with the running maximum m and sum l, a block of keys changes

    m' = max(m, max s)    l' = l * e^(m - m') + sum e^(s - m')    acc' = acc * e^(m - m') + e^(s - m') v

and in the end out = acc / l and lse = m + log l. A sink is a score that m and l begin with. Dropout removes
weights from acc, not from l. Powers are of 2, not e, because hardware computes those: log2 e is folded into
the scale. Blocks that all rows see entirely skip the mask; blocks that no row sees are not visited.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

from .dropout import dropout_mask, row_state
from .scores import final_scores, load_biases
from .tiles import (
    LN_2,
    LOG2_E,
    UNSPECIALIZED,
    add_product,
    exponential,
    key_bounds,
    load_parts,
    multiply_rows,
    place,
    span,
    store_parts,
    stretch,
    zero_parts,
)


@triton.jit
def _walk(
    acc, acc_rest, row_max, row_sum, query, query_rest, key_base, value_base, begin, end,
    positions, state, n_keys, scale, cap, slope, line, far, half_window, threshold,
    stride_kt, stride_kd, stride_vt, stride_vd,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, MASKED: tl.constexpr, DROPOUT: tl.constexpr,
    PRECISION: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr,
    BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Add the keys [begin, end) to the accumulator."""
    for start in range(begin, end, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        key, key_rest = load_parts(
            key_base, keys, stride_kt, stride_kd, n_keys, D, BLOCK_D, BLOCK_E, MASKED
        )  # fmt: skip
        score, _ = final_scores(
            multiply_rows(query, query_rest, key, key_rest, BLOCK_E, PRECISION),
            keys[None, :], positions[:, None], n_keys, scale, cap, slope, line, far, half_window,
            CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, MASKED,
        )  # fmt: skip
        new_max = tl.maximum(row_max, tl.max(score, 1))
        anchor = new_max
        if MASKED or BIAS:  # a table too may hold -inf
            # A row that has seen no key yet: -inf - -inf would be NaN.
            anchor = tl.where(new_max == float("-inf"), 0.0, new_max)
        weight = exponential(score - anchor[:, None], FOLDED)
        rescale = exponential(row_max - anchor, FOLDED)
        row_sum = row_sum * rescale + tl.sum(weight, 1)
        row_max = new_max
        if DROPOUT:
            weight = tl.where(dropout_mask(state[:, None], keys[None, :], threshold), weight, 0.0)
        value, value_rest = load_parts(
            value_base, keys, stride_vt, stride_vd, n_keys, D, BLOCK_D, BLOCK_E, MASKED
        )  # fmt: skip
        acc = acc * rescale[:, None]
        if BLOCK_E > 0:
            acc_rest = acc_rest * rescale[:, None]
        acc, acc_rest = add_product(acc, acc_rest, weight, value, value_rest, BLOCK_E, PRECISION)
    return acc, acc_rest, row_max, row_sum


@triton.jit(do_not_specialize=UNSPECIALIZED)
def attention_forward(
    q, k, v, out, lse, cu_seqlens_q, cu_seqlens_k, sink, slopes, bias,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd, stride_vt, stride_vh, stride_vd,
    n_blocks, n_heads, group, score_scale, cap, far, half_window, seed_low, seed_high, threshold, kept_scale,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, DROPOUT: tl.constexpr, SINK: tl.constexpr,
    PRECISION: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute attention of BLOCK_M queries of one head. Grid: (n_blocks * H * B,)."""
    block, head, sequence = place(tl.program_id(0), n_blocks, n_heads)
    start_q, n_queries = span(cu_seqlens_q, sequence)
    first = block * BLOCK_M
    if first >= n_queries:
        return
    start_k, n_keys = span(cu_seqlens_k, sequence)
    shift = n_keys - n_queries

    rows = first + tl.arange(0, BLOCK_M)
    query_base = q + start_q * stride_qt + head.to(tl.int64) * stride_qh
    key_base = k + start_k * stride_kt + (head // group).to(tl.int64) * stride_kh
    value_base = v + start_k * stride_vt + (head // group).to(tl.int64) * stride_vh
    query, query_rest = load_parts(
        query_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_D, BLOCK_E, True
    )  # fmt: skip
    slope, line = load_biases(slopes, bias, head, far, ALIBI, BIAS, FOLDED)
    state = rows
    if DROPOUT:
        state = row_state((start_q + rows) * n_heads + head, seed_low, seed_high)

    acc, acc_rest = zero_parts(BLOCK_M, BLOCK_D, BLOCK_E)
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    if SINK:
        row_max = tl.zeros([BLOCK_M], tl.float32) + tl.load(sink + head) * (LOG2_E if FOLDED else 1.0)
        row_sum += 1.0
    begin, full_begin, full_end, end = key_bounds(
        first, n_keys, shift, half_window, BLOCK_M, BLOCK_N, CAUSAL, WINDOW
    )
    for part in tl.static_range(3):
        if WINDOW or part > 0:
            low, high = stretch(part, begin, full_begin, full_end, end)
            acc, acc_rest, row_max, row_sum = _walk(
                acc, acc_rest, row_max, row_sum, query, query_rest, key_base, value_base,
                low, high,
                rows + shift, state, n_keys, score_scale, cap, slope, line, far, half_window, threshold,
                stride_kt, stride_kd, stride_vt, stride_vd,
                CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, part != 1, DROPOUT, PRECISION,
                D, BLOCK_D, BLOCK_E, BLOCK_N,
            )  # fmt: skip

    row_sum = tl.where(row_sum == 0.0, 1.0, row_sum)  # a row that saw nothing; its maximum is -inf
    log2_sum = tl.log2(row_sum)
    row = (start_q + rows) * n_heads + head  # only now, so that it takes no registers in the loop
    row_lse = (row_max + log2_sum) * LN_2 if FOLDED else row_max + log2_sum * LN_2
    tl.store(lse + row, row_lse, mask=rows < n_queries)
    if DROPOUT:
        row_sum = row_sum / kept_scale
    acc = acc / row_sum[:, None]
    if BLOCK_E > 0:
        acc_rest = acc_rest / row_sum[:, None]
    store_parts(out, row, rows < n_queries, acc, acc_rest, D, BLOCK_D, BLOCK_E)
