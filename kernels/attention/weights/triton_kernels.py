"""Triton kernels of `attention_statistics` and `attention_rows`.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, held in two
parts, BLOCK_D and BLOCK_E (see `tiles`); in one sequence M queries and N keys.

With t = s - anchor (see `anchor`), in base 2 if FOLDED, and e its power, one walk over the keys gives all of

    z = sum e    sum e t    sum e |distance|    sum e marked    max e

Attention itself, which does not know lse yet, needs the running maximum, the rescaling of its sums and a
second product. What a key receives is a sum over queries: a second kernel walks over queries, so that each
sum belongs to one program, without atomics, in a fixed order.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

from ..triton.scores import final_scores, load_biases
from ..triton.tiles import (
    LN_2,
    LOG2_E,
    UNSPECIALIZED,
    exponential,
    key_bounds,
    load_parts,
    load_tile,
    multiply_rows,
    multiply_thin,
    place,
    query_bounds,
    span,
    stretch,
)

# Far below every score, and yet 0 * HIDDEN is 0, where 0 * -inf would be NaN.
HIDDEN = tl.constexpr(-1e30)


@triton.jit
def load_anchor(anchors, row, inside, FOLDED: tl.constexpr):
    """Load anchors of rows, in the unit of scores; where one is -inf or not there, what makes weights 0."""
    value = tl.load(anchors + row, mask=inside, other=float("-inf"))
    return tl.where(value == float("-inf"), -HIDDEN, value * LOG2_E if FOLDED else value)


@triton.jit
def partial_sums(tile, PARTS: tl.constexpr):
    """Sum each row of a tile over every PARTS-th column: (rows, PARTS).

    On sm_90, a product's columns that are 8 apart lie in one thread (see `tile_sizes`): a sum over them
    stays there, and threads talk to each other once in the end, not for each tile and statistic.
    """
    return tl.sum(tl.reshape(tile, [tile.shape[0], tile.shape[1] // PARTS, PARTS]), 1)


@triton.jit
def partial_maxima(tile, PARTS: tl.constexpr):
    """The same with maxima."""
    return tl.max(tl.reshape(tile, [tile.shape[0], tile.shape[1] // PARTS, PARTS]), 1)


@triton.jit
def _walk_keys(
    total, product, path, most, mass, query, query_rest, query_base, rows, n_queries, key_base, marks,
    begin, end, anchor, positions, n_keys, scale, cap, slope, line, far, half_window,
    stride_qt, stride_qd, stride_kt, stride_kd,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, MASKED: tl.constexpr, MARKED: tl.constexpr,
    THIN: tl.constexpr, PARTS: tl.constexpr, PRECISION: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Add the keys [begin, end) to the sums."""
    for start in range(begin, end, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        if THIN:
            # n_rows is n_queries, but the compiler must not see it, or it moves the loads out of the loop.
            n_rows = tl.where(start < end, n_queries, 0)
            score = multiply_thin(
                query_base, rows, stride_qt, stride_qd, n_rows, key_base, keys, stride_kt, stride_kd, n_keys,
                D, BLOCK_M, BLOCK_N, PRECISION,
            )  # fmt: skip
        else:
            key, key_rest = load_parts(
                key_base, keys, stride_kt, stride_kd, n_keys, D, BLOCK_D, BLOCK_E, MASKED
            )  # fmt: skip
            score = multiply_rows(query, query_rest, key, key_rest, BLOCK_E, PRECISION)
        score, _ = final_scores(
            score, keys[None, :], positions[:, None], n_keys, scale, cap, slope, line, far, half_window,
            CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, MASKED,
        )  # fmt: skip
        exponent = score - anchor[:, None]
        if MASKED or BIAS:  # a table too may hold -inf
            exponent = tl.where(exponent < HIDDEN, HIDDEN, exponent)  # NaN stays, which a maximum may lose
        part = exponential(exponent, FOLDED)
        total += partial_sums(part, PARTS)
        product += partial_sums(part * exponent, PARTS)
        # In floating point, where |x| costs nothing; exact up to 2^24 tokens.
        apart = tl.abs(keys.to(tl.float32)[None, :] - positions.to(tl.float32)[:, None])
        path += partial_sums(part * apart, PARTS)
        most = tl.maximum(most, partial_maxima(part, PARTS))
        if MARKED:
            mark = tl.load(marks + keys, mask=keys < n_keys, other=0).to(tl.float32)
            mass += partial_sums(part * mark[None, :], PARTS)
    return total, product, path, most, mass


@triton.jit(do_not_specialize=UNSPECIALIZED)
def attention_row_statistics(
    q, k, anchors, cu_seqlens_q, cu_seqlens_k, sink, slopes, bias, marked,
    entropy, largest, distance, marked_mass, share,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd,
    n_blocks, n_heads, group, score_scale, cap, far, half_window,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, SINK: tl.constexpr, MARKED: tl.constexpr,
    SHARED: tl.constexpr, THIN: tl.constexpr, PARTS: tl.constexpr, PRECISION: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute the statistics of BLOCK_M rows of one head, and what e is to be multiplied by (if SHARED).

    Grid: (n_blocks * H * B,).
    """
    block, head, sequence = place(tl.program_id(0), n_blocks, n_heads)
    start_q, n_queries = span(cu_seqlens_q, sequence)
    first = block * BLOCK_M
    if first >= n_queries:
        return
    start_k, n_keys = span(cu_seqlens_k, sequence)
    shift = n_keys - n_queries

    rows = first + tl.arange(0, BLOCK_M)
    inside = rows < n_queries
    row = (start_q + rows) * n_heads + head
    query_base = q + start_q * stride_qt + head.to(tl.int64) * stride_qh
    key_base = k + start_k * stride_kt + (head // group).to(tl.int64) * stride_kh
    query, query_rest = 0.0, 0.0
    if not THIN:
        query, query_rest = load_parts(
            query_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_D, BLOCK_E, True
        )  # fmt: skip
    slope, line = load_biases(slopes, bias, head, far, ALIBI, BIAS, FOLDED)
    anchor = load_anchor(anchors, row, inside, FOLDED)
    marks = marked
    if MARKED:
        marks = marked + start_k

    total = tl.zeros([BLOCK_M, PARTS], tl.float32)
    product = tl.zeros([BLOCK_M, PARTS], tl.float32)
    path = tl.zeros([BLOCK_M, PARTS], tl.float32)
    most = tl.zeros([BLOCK_M, PARTS], tl.float32)
    mass = tl.zeros([BLOCK_M, PARTS], tl.float32)
    begin, full_begin, full_end, end = key_bounds(
        first, n_keys, shift, half_window, BLOCK_M, BLOCK_N, CAUSAL, WINDOW
    )
    for part in tl.static_range(3):
        if WINDOW or part > 0:
            low, high = stretch(part, begin, full_begin, full_end, end)
            total, product, path, most, mass = _walk_keys(
                total, product, path, most, mass,
                query, query_rest, query_base, rows, n_queries, key_base, marks,
                low, high,
                anchor, rows + shift, n_keys, score_scale, cap, slope, line, far, half_window,
                stride_qt, stride_qd, stride_kt, stride_kd,
                CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, part != 1, MARKED,
                THIN, PARTS, PRECISION, D, BLOCK_D, BLOCK_E, BLOCK_M, BLOCK_N,
            )  # fmt: skip

    total = tl.sum(total, 1)
    total = tl.where(total == 0.0, 1.0, total)  # a row that saw nothing; its other sums are 0
    peak = tl.max(most, 1)
    mean = tl.sum(product, 1) / total
    nats = (tl.log2(total) - mean) * LN_2 if FOLDED else tl.log2(total) * LN_2 - mean
    # In a row of one key, the difference of two roundings is not its entropy.
    nats = tl.where((peak == total) | (nats < 0.0), 0.0, nats)
    tl.store(entropy + row, nats, mask=inside)
    tl.store(distance + row, tl.sum(path, 1) / total, mask=inside)
    if SINK:
        own = tl.load(sink + head).to(tl.float32) * (LOG2_E if FOLDED else 1.0)
        total += exponential(own - anchor, FOLDED)
    tl.store(largest + row, peak / total, mask=inside)
    if MARKED:
        tl.store(marked_mass + row, tl.sum(mass, 1) / total, mask=inside)
    if SHARED:
        tl.store(share + row, 1.0 / total, mask=inside)


@triton.jit
def _walk_queries(
    total, key, key_rest, key_base, keys, query_base, anchors, share, row_base, begin, end,
    shift, n_queries, n_keys, n_heads, scale, cap, slope, line, far, half_window,
    stride_qt, stride_qd, stride_kt, stride_kd,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, MASKED: tl.constexpr,
    THIN: tl.constexpr, PARTS: tl.constexpr, PRECISION: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Add what a block of keys receives from the queries [begin, end)."""
    for start in range(begin, end, BLOCK_M):
        rows = start + tl.arange(0, BLOCK_M)
        inside = rows < n_queries
        row = row_base + rows.to(tl.int64) * n_heads
        if THIN:
            # n_rows is n_keys, but the compiler must not see it, or it moves the loads out of the loop.
            n_rows = tl.where(start < end, n_keys, 0)
            score = multiply_thin(
                key_base, keys, stride_kt, stride_kd, n_rows,
                query_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_N, BLOCK_M, PRECISION,
            )  # fmt: skip
        else:
            query, query_rest = load_parts(
                query_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_D, BLOCK_E, MASKED
            )  # fmt: skip
            score = multiply_rows(key, key_rest, query, query_rest, BLOCK_E, PRECISION)
        score, _ = final_scores(
            score, keys[:, None], (rows + shift)[None, :], n_keys, scale, cap, slope, line, far, half_window,
            CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, MASKED and (CAUSAL or WINDOW),
        )  # fmt: skip
        part = exponential(score - load_anchor(anchors, row, inside, FOLDED)[None, :], FOLDED)
        part *= tl.load(share + row, mask=inside, other=0.0)[None, :]
        total += partial_sums(part, PARTS)
    return total


@triton.jit(do_not_specialize=UNSPECIALIZED)
def attention_received(
    q, k, anchors, share, cu_seqlens_q, cu_seqlens_k, slopes, bias, received,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd,
    n_blocks, n_heads, group, score_scale, cap, far, half_window,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr,
    THIN: tl.constexpr, PARTS: tl.constexpr, PRECISION: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute what BLOCK_N keys receive in one query head. Grid: (n_blocks * H * B,)."""
    block, head, sequence = place(tl.program_id(0), n_blocks, n_heads)
    start_k, n_keys = span(cu_seqlens_k, sequence)
    first = block * BLOCK_N
    if first >= n_keys:
        return
    start_q, n_queries = span(cu_seqlens_q, sequence)
    shift = n_keys - n_queries

    keys = first + tl.arange(0, BLOCK_N)
    query_base = q + start_q * stride_qt + head.to(tl.int64) * stride_qh
    key_base = k + start_k * stride_kt + (head // group).to(tl.int64) * stride_kh
    key, key_rest = 0.0, 0.0
    if not THIN:
        key, key_rest = load_parts(key_base, keys, stride_kt, stride_kd, n_keys, D, BLOCK_D, BLOCK_E, True)
    slope, line = load_biases(slopes, bias, head, far, ALIBI, BIAS, FOLDED)

    total = tl.zeros([BLOCK_N, PARTS], tl.float32)
    begin, full_begin, full_end, end = query_bounds(
        first, n_queries, shift, half_window, BLOCK_N, BLOCK_M, CAUSAL, WINDOW
    )
    for part in tl.static_range(3):
        if CAUSAL or WINDOW or part > 0:
            low, high = stretch(part, begin, full_begin, full_end, end)
            total = _walk_queries(
                total, key, key_rest, key_base, keys, query_base, anchors, share, start_q * n_heads + head,
                low, high,
                shift, n_queries, n_keys, n_heads, score_scale, cap, slope, line, far, half_window,
                stride_qt, stride_qd, stride_kt, stride_kd,
                CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, part != 1,
                THIN, PARTS, PRECISION, D, BLOCK_D, BLOCK_E, BLOCK_M, BLOCK_N,
            )  # fmt: skip
    tl.store(received + (start_k + keys) * n_heads + head, tl.sum(total, 1), mask=keys < n_keys)


@triton.jit(do_not_specialize=(*UNSPECIALIZED, "n_tokens"))
def attention_rows_parts(
    q, k, anchors, rows, sequences, cu_seqlens_q, cu_seqlens_k, slopes, bias, parts,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd,
    n_blocks, n_heads, group, n_tokens, width, score_scale, cap, far, half_window,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute e of BLOCK_N keys in a chosen row of one head, 0 beyond its keys. Grid: (n_blocks * H * n,)."""
    block, head, chosen = place(tl.program_id(0), n_blocks, n_heads)
    token = tl.load(rows + chosen).to(tl.int64)
    there = (token >= 0) & (token < n_tokens)
    token = tl.where(there, token, 0)
    sequence = tl.where(there, tl.load(sequences + chosen), 0)
    start_q, n_queries = span(cu_seqlens_q, sequence)
    start_k, n_keys = span(cu_seqlens_k, sequence)
    n_keys = tl.where(there, n_keys, 0)
    position = (token - start_q).to(tl.int32) + n_keys - n_queries

    keys = block * BLOCK_N + tl.arange(0, BLOCK_N)
    columns = tl.arange(0, BLOCK_D)
    at = q + token * stride_qt + head.to(tl.int64) * stride_qh + columns * stride_qd
    query = tl.load(at, mask=columns < D, other=0.0).to(tl.float32)
    key_base = k + start_k * stride_kt + (head // group).to(tl.int64) * stride_kh
    key = load_tile(key_base, keys, columns, stride_kt, stride_kd, n_keys, D, BLOCK_D, True).to(tl.float32)
    slope, line = load_biases(slopes, bias, head, far, ALIBI, BIAS, FOLDED)
    score, _ = final_scores(
        tl.sum(key * query[None, :], 1), keys, position, n_keys,
        score_scale, cap, slope, line, far, half_window,
        CAUSAL, WINDOW, ALIBI, BIAS, SOFTCAP, FOLDED, True,
    )  # fmt: skip
    anchor = load_anchor(anchors, token * n_heads + head, there, FOLDED)
    at = (chosen.to(tl.int64) * n_heads + head) * width + keys
    tl.store(parts + at, exponential(score - anchor, FOLDED), mask=keys < width)
