"""The backward Triton kernel of dQ, and of a T5 table's gradient. No atomics, so runs are bitwise repeatable.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table; in one sequence M queries and N keys. A program takes BLOCK_M queries of one head and walks
over their keys, BLOCK_N at a time. D is held in two parts, BLOCK_D and BLOCK_E (see `tiles`). The equations
are in `backward_key_value` and `bias_gradient`.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

from .bias_gradient import add_to_buckets, diagonal_sums
from .delta import load_row_lse
from .dropout import dropout_mask, row_state
from .scores import final_scores, load_biases
from .tiles import (
    UNSPECIALIZED,
    add_product,
    exponential,
    key_bounds,
    load_parts,
    multiply_rows,
    multiply_thin,
    place,
    span,
    store_parts,
    stretch,
    zero_parts,
)


@triton.jit
def _walk(
    grad_query, grad_query_rest, table, carried, query, query_rest, grad, grad_rest, query_base, grad_base,
    row_lse, row_delta, key_base, value_base, begin, end, rows, origin, shift, state, n_queries, n_keys,
    scale, cap, slope, line, buckets, far, half_window, threshold, kept_scale,
    stride_qt, stride_qd, stride_gt, stride_gd, stride_kt, stride_kd, stride_vt, stride_vd,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, MASKED: tl.constexpr, DROPOUT: tl.constexpr,
    TABLE: tl.constexpr, R: tl.constexpr, PRECISION: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Add what the keys [begin, end) send to a block of queries, and to the table."""
    thin: tl.constexpr = D > 64 and query.dtype == tl.float32
    for start in range(begin, end, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        key, key_rest = load_parts(
            key_base, keys, stride_kt, stride_kd, n_keys, D, BLOCK_D, BLOCK_E, MASKED
        )  # fmt: skip
        if thin:
            # n_rows is n_queries, but the compiler must not see it, or it moves the loads out of the loop.
            n_rows = tl.where(start < end, n_queries, 0)
            product = multiply_thin(
                query_base, rows, stride_qt, stride_qd, n_rows,
                key_base, keys, stride_kt, stride_kd, n_keys, D, BLOCK_M, BLOCK_N, PRECISION,
            )  # fmt: skip
        else:
            product = multiply_rows(query, query_rest, key, key_rest, BLOCK_E, PRECISION)
        score, steepness = final_scores(
            product, keys[None, :], (rows + shift)[:, None], n_keys,
            scale, cap, slope, line, far, half_window,
            CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, MASKED,
        )  # fmt: skip
        weight = exponential(score - row_lse[:, None], FOLDED)
        if thin:
            grad_weight = multiply_thin(
                grad_base, rows, stride_gt, stride_gd, n_rows,
                value_base, keys, stride_vt, stride_vd, n_keys, D, BLOCK_M, BLOCK_N, PRECISION,
            )  # fmt: skip
        else:
            value, value_rest = load_parts(
                value_base, keys, stride_vt, stride_vd, n_keys, D, BLOCK_D, BLOCK_E, MASKED
            )  # fmt: skip
            grad_weight = multiply_rows(grad, grad_rest, value, value_rest, BLOCK_E, PRECISION)
        if DROPOUT:
            stays = dropout_mask(state[:, None], keys[None, :], threshold)
            grad_weight = tl.where(stays, grad_weight * kept_scale, 0.0)
        grad_score = weight * (grad_weight - row_delta[:, None])
        if TABLE:
            ahead, behind = diagonal_sums(grad_score, BLOCK_M)
            nearest = start - origin
            table = add_to_buckets(table, carried + behind, nearest - BLOCK_M, buckets, far, BLOCK_M, R)
            carried = ahead
        if SOFTCAP:
            grad_score *= steepness
        grad_query, grad_query_rest = add_product(
            grad_query, grad_query_rest, grad_score, key, key_rest, BLOCK_E, PRECISION
        )  # fmt: skip
    return grad_query, grad_query_rest, table, carried


@triton.jit(do_not_specialize=UNSPECIALIZED)
def attention_backward_query(
    q, k, v, grad_out, lse, delta, grad_q, partial, cu_seqlens_q, cu_seqlens_k, slopes, bias, buckets,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd, stride_vt, stride_vh, stride_vd,
    stride_gt, stride_gh, stride_gd,
    n_blocks, n_heads, group, scale, score_scale, cap, far, half_window,
    seed_low, seed_high, threshold, kept_scale,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, DROPOUT: tl.constexpr,
    TABLE: tl.constexpr, R: tl.constexpr, PRECISION: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute dQ of BLOCK_M queries of one head, and their share of the table. Grid: (n_blocks * H * B,)."""
    block, head, sequence = place(tl.program_id(0), n_blocks, n_heads)
    start_q, n_queries = span(cu_seqlens_q, sequence)
    first = block * BLOCK_M
    if first >= n_queries:
        return
    start_k, n_keys = span(cu_seqlens_k, sequence)
    shift = n_keys - n_queries

    rows = first + tl.arange(0, BLOCK_M)
    row = (start_q + rows) * n_heads + head
    query_base = q + start_q * stride_qt + head.to(tl.int64) * stride_qh
    grad_base = grad_out + start_q * stride_gt + head.to(tl.int64) * stride_gh
    key_base = k + start_k * stride_kt + (head // group).to(tl.int64) * stride_kh
    value_base = v + start_k * stride_vt + (head // group).to(tl.int64) * stride_vh
    query, query_rest = load_parts(
        query_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_D, BLOCK_E, True
    )  # fmt: skip
    grad, grad_rest = load_parts(
        grad_base, rows, stride_gt, stride_gd, n_queries, D, BLOCK_D, BLOCK_E, True
    )  # fmt: skip
    row_lse = load_row_lse(lse, row, rows < n_queries, FOLDED)
    row_delta = tl.load(delta + row, mask=rows < n_queries, other=0.0)
    slope, line = load_biases(slopes, bias, head, far, ALIBI, BIAS, FOLDED)
    state = rows
    if DROPOUT:
        state = row_state(row, seed_low, seed_high)

    grad_query, grad_query_rest = zero_parts(BLOCK_M, BLOCK_D, BLOCK_E)
    table = tl.zeros([R], tl.float32)
    carried = tl.zeros([BLOCK_M], tl.float32)
    begin, full_begin, full_end, end = key_bounds(
        first, n_keys, shift, half_window, BLOCK_M, BLOCK_N, CAUSAL, WINDOW
    )
    for part in tl.static_range(3):
        if WINDOW or part > 0:
            low, high = stretch(part, begin, full_begin, full_end, end)
            grad_query, grad_query_rest, table, carried = _walk(
                grad_query, grad_query_rest, table, carried, query, query_rest, grad, grad_rest,
                query_base, grad_base, row_lse, row_delta, key_base, value_base,
                low, high,
                rows, first + shift, shift, state, n_queries, n_keys,
                score_scale, cap, slope, line, buckets, far, half_window, threshold, kept_scale,
                stride_qt, stride_qd, stride_gt, stride_gd, stride_kt, stride_kd, stride_vt, stride_vd,
                CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, part != 1, DROPOUT, TABLE, R, PRECISION,
                D, BLOCK_D, BLOCK_E, BLOCK_M, BLOCK_N,
            )  # fmt: skip

    if TABLE:
        nearest = begin + (end - begin + BLOCK_N - 1) // BLOCK_N * BLOCK_N - (first + shift)
        table = add_to_buckets(table, carried, nearest - BLOCK_M, buckets, far, BLOCK_M, R)
        tl.store(partial + tl.program_id(0).to(tl.int64) * R + tl.arange(0, R), table)
    row = (start_q + rows) * n_heads + head  # computed again, so that it takes no registers in the loop
    grad_query *= scale
    if BLOCK_E > 0:
        grad_query_rest *= scale
    store_parts(grad_q, row, rows < n_queries, grad_query, grad_query_rest, D, BLOCK_D, BLOCK_E)
