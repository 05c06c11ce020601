"""The backward Triton kernel of dK and dV. No atomics, so runs are bitwise repeatable.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size; in one
sequence M queries and N keys. A program takes BLOCK_N keys of one key/value head and walks over the queries
of all heads that read it, BLOCK_M at a time. D is held in two parts, BLOCK_D and BLOCK_E (see `tiles`).

With P = exp(s - lse), dP = dO V' and delta (see `delta`), before any soft cap and dropout,

    dV = P' dO      dS = P * (dP - delta)      dQ = scale dS K      dK = scale dS' Q

Dropout puts keep / (1 - p) before P in dV and before dP; a soft cap puts its derivative before dS in dQ and
dK. P and dP are computed twice, here and in `backward_query`: seven products where atomics would need five.
Tiles are transposed here, keys by queries, as the sums of dK and dV want them.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

from .delta import load_row_lse
from .dropout import dropout_mask, row_state
from .scores import final_scores, load_biases
from .tiles import (
    UNSPECIALIZED,
    add_product,
    exponential,
    load_parts,
    multiply_rows,
    multiply_thin,
    place,
    query_bounds,
    span,
    store_parts,
    stretch,
    zero_parts,
)


@triton.jit
def _walk(
    grad_key, grad_key_rest, grad_value, grad_value_rest, key, key_rest, value, value_rest,
    key_base, value_base, query_base, grad_base, lse, delta, row_base, begin, end,
    keys, shift, n_queries, n_keys, n_heads, scale, cap, slope, line, far, half_window,
    seed_low, seed_high, threshold, kept_scale,
    stride_qt, stride_qd, stride_gt, stride_gd, stride_kt, stride_kd, stride_vt, stride_vd,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, MASKED: tl.constexpr, DROPOUT: tl.constexpr,
    PRECISION: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Add what the queries [begin, end) of one head send to a block of keys."""
    thin: tl.constexpr = D > 64 and D <= 128 and key.dtype == tl.float32
    for start in range(begin, end, BLOCK_M):
        rows = start + tl.arange(0, BLOCK_M)
        row = row_base + rows.to(tl.int64) * n_heads
        inside = rows < n_queries
        query, query_rest = load_parts(
            query_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_D, BLOCK_E, MASKED
        )  # fmt: skip
        if thin:
            # n_rows is n_keys, but the compiler must not see it, or it moves the loads out of the loop.
            n_rows = tl.where(start < end, n_keys, 0)
            product = multiply_thin(
                key_base, keys, stride_kt, stride_kd, n_rows,
                query_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_N, BLOCK_M, PRECISION,
            )  # fmt: skip
        else:
            product = multiply_rows(key, key_rest, query, query_rest, BLOCK_E, PRECISION)
        score, steepness = final_scores(
            product, keys[:, None], (rows + shift)[None, :], n_keys,
            scale, cap, slope, line, far, half_window,
            CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, MASKED and (CAUSAL or WINDOW),
        )  # fmt: skip
        weight = exponential(score - load_row_lse(lse, row, inside, FOLDED)[None, :], FOLDED)
        kept = weight
        if DROPOUT:
            stays = dropout_mask(row_state(row, seed_low, seed_high)[None, :], keys[:, None], threshold)
            kept = tl.where(stays, weight, 0.0)
        grad, grad_rest = load_parts(
            grad_base, rows, stride_gt, stride_gd, n_queries, D, BLOCK_D, BLOCK_E, MASKED
        )  # fmt: skip
        grad_value, grad_value_rest = add_product(
            grad_value, grad_value_rest, kept, grad, grad_rest, BLOCK_E, PRECISION
        )  # fmt: skip
        if thin:
            grad_weight = multiply_thin(
                value_base, keys, stride_vt, stride_vd, n_rows,
                grad_base, rows, stride_gt, stride_gd, n_queries, D, BLOCK_N, BLOCK_M, PRECISION,
            )  # fmt: skip
        else:
            grad_weight = multiply_rows(value, value_rest, grad, grad_rest, BLOCK_E, PRECISION)
        if DROPOUT:
            grad_weight = tl.where(stays, grad_weight * kept_scale, 0.0)
        grad_score = weight * (grad_weight - tl.load(delta + row, mask=inside, other=0.0)[None, :])
        if SOFTCAP:
            grad_score *= steepness
        grad_key, grad_key_rest = add_product(
            grad_key, grad_key_rest, grad_score, query, query_rest, BLOCK_E, PRECISION
        )  # fmt: skip
    return grad_key, grad_key_rest, grad_value, grad_value_rest


@triton.jit(do_not_specialize=UNSPECIALIZED)
def attention_backward_key_value(
    q, k, v, grad_out, lse, delta, grad_k, grad_v, cu_seqlens_q, cu_seqlens_k, slopes, bias,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd, stride_vt, stride_vh, stride_vd,
    stride_gt, stride_gh, stride_gd,
    n_blocks, n_heads, group, scale, score_scale, cap, far, half_window,
    seed_low, seed_high, threshold, kept_scale,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute dK and dV of BLOCK_N keys of one key/value head. Grid: (n_blocks * G * B,)."""
    n_kv_heads = n_heads // group
    block, kv_head, sequence = place(tl.program_id(0), n_blocks, n_kv_heads)
    start_k, n_keys = span(cu_seqlens_k, sequence)
    first = block * BLOCK_N
    if first >= n_keys:
        return
    start_q, n_queries = span(cu_seqlens_q, sequence)
    shift = n_keys - n_queries

    keys = first + tl.arange(0, BLOCK_N)
    key_base = k + start_k * stride_kt + kv_head.to(tl.int64) * stride_kh
    value_base = v + start_k * stride_vt + kv_head.to(tl.int64) * stride_vh
    key, key_rest = load_parts(key_base, keys, stride_kt, stride_kd, n_keys, D, BLOCK_D, BLOCK_E, True)
    value, value_rest = load_parts(value_base, keys, stride_vt, stride_vd, n_keys, D, BLOCK_D, BLOCK_E, True)
    grad_key, grad_key_rest = zero_parts(BLOCK_N, BLOCK_D, BLOCK_E)
    grad_value, grad_value_rest = zero_parts(BLOCK_N, BLOCK_D, BLOCK_E)

    begin, full_begin, full_end, end = query_bounds(
        first, n_queries, shift, half_window, BLOCK_N, BLOCK_M, CAUSAL, WINDOW
    )
    for head in range(kv_head * group, (kv_head + 1) * group):
        query_base = q + start_q * stride_qt + tl.cast(head, tl.int64) * stride_qh
        grad_base = grad_out + start_q * stride_gt + tl.cast(head, tl.int64) * stride_gh
        slope, line = load_biases(slopes, bias, head, far, ALIBI, BIAS, FOLDED)
        for part in tl.static_range(3):
            if CAUSAL or WINDOW or part > 0:
                low, high = stretch(part, begin, full_begin, full_end, end)
                grad_key, grad_key_rest, grad_value, grad_value_rest = _walk(
                    grad_key, grad_key_rest, grad_value, grad_value_rest, key, key_rest, value, value_rest,
                    key_base, value_base, query_base, grad_base, lse, delta, start_q * n_heads + head,
                    low, high,
                    keys, shift, n_queries, n_keys, n_heads,
                    score_scale, cap, slope, line, far, half_window,
                    seed_low, seed_high, threshold, kept_scale,
                    stride_qt, stride_qd, stride_gt, stride_gd, stride_kt, stride_kd, stride_vt, stride_vd,
                    CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, part != 1, DROPOUT, PRECISION,
                    D, BLOCK_D, BLOCK_E, BLOCK_M, BLOCK_N,
                )  # fmt: skip

    if DROPOUT:
        grad_value *= kept_scale
        if BLOCK_E > 0:
            grad_value_rest *= kept_scale
    grad_key *= scale
    if BLOCK_E > 0:
        grad_key_rest *= scale
    row = (start_k + keys) * n_kv_heads + kv_head
    store_parts(grad_k, row, keys < n_keys, grad_key, grad_key_rest, D, BLOCK_D, BLOCK_E)
    store_parts(grad_v, row, keys < n_keys, grad_value, grad_value_rest, D, BLOCK_D, BLOCK_E)
