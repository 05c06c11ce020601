"""The backward Triton kernels: delta, then dK and dV, then dQ. No atomics, so runs are bitwise repeatable.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size; in one
sequence M queries and N keys. BLOCK_M queries meet BLOCK_N keys. BLOCK_D is D rounded up to a power of two.

With P = exp(s - lse), dP = dO V' and delta[i] = dO[i] . O[i] - dlse[i] (Dao 2023, and the log-sum-exp's own
gradient):

    dV = P' dO      dS = P * (dP - delta)      dQ = scale dS K      dK = scale dS' Q

P and dP are computed twice, once for each of the two kernels: seven products where atomics would need five.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

from .tiles import LOG2_E, bounds, exponential, load_slope, load_tile, penalize, place


@triton.jit(do_not_specialize=["n_rows", "n_heads"])
def attention_delta(
    out, grad_out, grad_lse, delta, stride_gt, stride_gh, stride_gd, stride_lt, stride_lh, n_rows, n_heads,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """Compute delta of BLOCK_M rows of (T * H). Grid: (cdiv(T * H, BLOCK_M),)."""
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    token = row // n_heads
    head = row % n_heads
    inside = (row[:, None] < n_rows) & (columns[None, :] < D)
    at = grad_out + token[:, None] * stride_gt + head[:, None] * stride_gh + columns[None, :] * stride_gd
    grad = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    output = tl.load(out + row[:, None] * D + columns[None, :], mask=inside, other=0.0).to(tl.float32)
    from_lse = tl.load(grad_lse + token * stride_lt + head * stride_lh, mask=row < n_rows, other=0.0)
    tl.store(delta + row, tl.sum(grad * output, 1) - from_lse, mask=row < n_rows)


@triton.jit
def load_row_lse(lse, row, inside, FOLDED: tl.constexpr):
    """log-sum-exp of rows; +inf, which makes every weight 0, for a row that saw no key or is not there."""
    value = tl.load(lse + row, mask=inside, other=float("-inf"))
    return tl.where(value == float("-inf"), float("inf"), value * LOG2_E if FOLDED else value)


@triton.jit
def _thin_product(
    left, left_rows, stride_lt, stride_ld, n_left, right, right_rows, stride_rt, stride_rd, n_right,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Multiply rows of two matrices, (BLOCK_M, D) by (BLOCK_N, D), 64 columns at a time.

    fp32 products run from registers, where wide rows of all that meets in a step do not fit together.
    """
    total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for part in tl.static_range(BLOCK_D // 64):
        columns = part * 64 + tl.arange(0, 64)
        a = load_tile(left, left_rows, columns, stride_lt, stride_ld, n_left, D, BLOCK_D, True)
        b = load_tile(right, right_rows, columns, stride_rt, stride_rd, n_right, D, BLOCK_D, True)
        total = tl.dot(a, tl.trans(b), total, input_precision="ieee")
    return total


@triton.jit
def _walk_queries(
    grad_key, grad_value, key, value, key_base, value_base,
    query_base, grad_base, lse, delta, row_base, begin, end,
    keys, columns, shift, n_queries, n_keys, n_heads, scale, slope, half_window,
    stride_qt, stride_qd, stride_gt, stride_gd, stride_kt, stride_kd, stride_vt, stride_vd,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, MASKED: tl.constexpr,
    FOLDED: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Add what the queries [begin, end) send to a block of keys. Scores are transposed: (keys, queries)."""
    thin: tl.constexpr = BLOCK_D == 128 and key.dtype == tl.float32
    for start in range(begin, end, BLOCK_M):
        rows = start + tl.arange(0, BLOCK_M)
        query = load_tile(query_base, rows, columns, stride_qt, stride_qd, n_queries, D, BLOCK_D, MASKED)
        if thin:
            # n_rows is n_keys, but the compiler must not see it, or it moves the loads out of the loop.
            n_rows = tl.where(start < end, n_keys, 0)
            score = _thin_product(
                key_base, keys, stride_kt, stride_kd, n_rows,
                query_base, rows, stride_qt, stride_qd, n_queries,
                D, BLOCK_D, BLOCK_N, BLOCK_M,
            ) * scale  # fmt: skip
        else:
            score = tl.dot(key, tl.trans(query), input_precision="ieee") * scale
        if ALIBI or (MASKED and (CAUSAL or WINDOW)):
            distance = keys[:, None] - (rows + shift)[None, :]
            score = penalize(score, distance, slope, half_window, CAUSAL, WINDOW, ALIBI, MASKED)
        row = row_base + rows.to(tl.int64) * n_heads
        inside = rows < n_queries
        weight = exponential(score - load_row_lse(lse, row, inside, FOLDED)[None, :], FOLDED)
        grad = load_tile(grad_base, rows, columns, stride_gt, stride_gd, n_queries, D, BLOCK_D, MASKED)
        grad_value = tl.dot(weight.to(grad.dtype), grad, grad_value, input_precision="ieee")
        if thin:
            grad_weight = _thin_product(
                value_base, keys, stride_vt, stride_vd, n_rows,
                grad_base, rows, stride_gt, stride_gd, n_queries,
                D, BLOCK_D, BLOCK_N, BLOCK_M,
            )  # fmt: skip
        else:
            grad_weight = tl.dot(value, tl.trans(grad), input_precision="ieee")
        grad_score = weight * (grad_weight - tl.load(delta + row, mask=inside, other=0.0)[None, :])
        grad_key = tl.dot(grad_score.to(query.dtype), query, grad_key, input_precision="ieee")
    return grad_key, grad_value


@triton.jit(do_not_specialize=["n_blocks", "n_heads", "group", "half_window"])
def attention_backward_key_value(
    q, k, v, grad_out, lse, delta, grad_k, grad_v, cu_seqlens_q, cu_seqlens_k, slopes,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd, stride_vt, stride_vh, stride_vd,
    stride_gt, stride_gh, stride_gd,
    n_blocks, n_heads, group, scale, score_scale, half_window,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, FOLDED: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute dK and dV of BLOCK_N keys of one key/value head. Grid: (n_blocks * G * B,)."""
    n_kv_heads = n_heads // group
    block, kv_head, sequence = place(tl.program_id(0), n_blocks, n_kv_heads)
    start_k = tl.load(cu_seqlens_k + sequence).to(tl.int64)
    n_keys = (tl.load(cu_seqlens_k + sequence + 1) - start_k).to(tl.int32)
    first = block * BLOCK_N
    if first >= n_keys:
        return
    start_q = tl.load(cu_seqlens_q + sequence).to(tl.int64)
    n_queries = (tl.load(cu_seqlens_q + sequence + 1) - start_q).to(tl.int32)
    shift = n_keys - n_queries

    keys = first + tl.arange(0, BLOCK_N)
    columns = tl.arange(0, BLOCK_D)
    key_base = k + start_k * stride_kt + kv_head.to(tl.int64) * stride_kh
    value_base = v + start_k * stride_vt + kv_head.to(tl.int64) * stride_vh
    key = load_tile(key_base, keys, columns, stride_kt, stride_kd, n_keys, D, BLOCK_D, True)
    value = load_tile(value_base, keys, columns, stride_vt, stride_vd, n_keys, D, BLOCK_D, True)
    grad_key = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    grad_value = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)

    # Seen from a key, the queries that it must not reach when causal lie behind it.
    begin, full_begin, full_end, end = bounds(
        first, n_queries, -shift, half_window, BLOCK_N, BLOCK_M,
        1 if CAUSAL else (2 if WINDOW else 0), 2 if WINDOW else 0,
    )  # fmt: skip
    for head in range(kv_head * group, (kv_head + 1) * group):
        query_base = q + start_q * stride_qt + tl.cast(head, tl.int64) * stride_qh
        grad_base = grad_out + start_q * stride_gt + tl.cast(head, tl.int64) * stride_gh
        row_base = start_q * n_heads + head
        slope = 0.0
        if ALIBI:
            slope = load_slope(slopes, head, FOLDED)
        for part in tl.static_range(3):
            if CAUSAL or WINDOW or part > 0:
                grad_key, grad_value = _walk_queries(
                    grad_key, grad_value, key, value, key_base, value_base,
                    query_base, grad_base, lse, delta, row_base,
                    begin if part == 0 else (full_begin if part == 1 else full_end),
                    full_begin if part == 0 else (full_end if part == 1 else end),
                    keys, columns, shift, n_queries, n_keys, n_heads, score_scale, slope, half_window,
                    stride_qt, stride_qd, stride_gt, stride_gd, stride_kt, stride_kd, stride_vt, stride_vd,
                    CAUSAL, WINDOW, ALIBI, part != 1, FOLDED, D, BLOCK_D, BLOCK_M, BLOCK_N,
                )  # fmt: skip

    inside = (keys[:, None] < n_keys) & (columns[None, :] < D)
    at = ((start_k + keys) * n_kv_heads + kv_head)[:, None] * D + columns[None, :]
    tl.store(grad_k + at, (grad_key * scale).to(grad_k.dtype.element_ty), mask=inside)
    tl.store(grad_v + at, grad_value.to(grad_v.dtype.element_ty), mask=inside)


@triton.jit
def _walk_keys(
    grad_query, query, grad, query_base, grad_base, row_lse, row_delta, key_base, value_base, begin, end,
    rows, columns, shift, n_queries, n_keys, scale, slope, half_window,
    stride_qt, stride_qd, stride_gt, stride_gd, stride_kt, stride_kd, stride_vt, stride_vd,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, MASKED: tl.constexpr,
    FOLDED: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Add what the keys [begin, end) send to a block of queries."""
    thin: tl.constexpr = BLOCK_D >= 128 and query.dtype == tl.float32
    for start in range(begin, end, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        key = load_tile(key_base, keys, columns, stride_kt, stride_kd, n_keys, D, BLOCK_D, MASKED)
        if thin:
            # n_rows is n_queries, but the compiler must not see it, or it moves the loads out of the loop.
            n_rows = tl.where(start < end, n_queries, 0)
            score = _thin_product(
                query_base, rows, stride_qt, stride_qd, n_rows, key_base, keys, stride_kt, stride_kd, n_keys,
                D, BLOCK_D, BLOCK_M, BLOCK_N,
            ) * scale  # fmt: skip
        else:
            score = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        if MASKED or ALIBI:
            distance = keys[None, :] - (rows + shift)[:, None]
            score = penalize(score, distance, slope, half_window, CAUSAL, WINDOW, ALIBI, MASKED)
        if MASKED:
            score = tl.where(keys[None, :] < n_keys, score, float("-inf"))
        weight = exponential(score - row_lse[:, None], FOLDED)
        if thin:
            grad_weight = _thin_product(
                grad_base, rows, stride_gt, stride_gd, n_rows, value_base, keys, stride_vt, stride_vd, n_keys,
                D, BLOCK_D, BLOCK_M, BLOCK_N,
            )  # fmt: skip
        else:
            value = load_tile(value_base, keys, columns, stride_vt, stride_vd, n_keys, D, BLOCK_D, MASKED)
            grad_weight = tl.dot(grad, tl.trans(value), input_precision="ieee")
        grad_score = weight * (grad_weight - row_delta[:, None])
        grad_query = tl.dot(grad_score.to(key.dtype), key, grad_query, input_precision="ieee")
    return grad_query


@triton.jit(do_not_specialize=["n_blocks", "n_heads", "group", "half_window"])
def attention_backward_query(
    q, k, v, grad_out, lse, delta, grad_q, cu_seqlens_q, cu_seqlens_k, slopes,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd, stride_vt, stride_vh, stride_vd,
    stride_gt, stride_gh, stride_gd,
    n_blocks, n_heads, group, scale, score_scale, half_window,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, FOLDED: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute dQ of BLOCK_M queries of one head. Grid: (n_blocks * H * B,)."""
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
    grad_base = grad_out + start_q * stride_gt + head.to(tl.int64) * stride_gh
    key_base = k + start_k * stride_kt + (head // group).to(tl.int64) * stride_kh
    value_base = v + start_k * stride_vt + (head // group).to(tl.int64) * stride_vh
    query = load_tile(query_base, rows, columns, stride_qt, stride_qd, n_queries, D, BLOCK_D, True)
    grad = load_tile(grad_base, rows, columns, stride_gt, stride_gd, n_queries, D, BLOCK_D, True)
    row = (start_q + rows) * n_heads + head
    row_lse = load_row_lse(lse, row, rows < n_queries, FOLDED)
    row_delta = tl.load(delta + row, mask=rows < n_queries, other=0.0)
    slope = 0.0
    if ALIBI:
        slope = load_slope(slopes, head, FOLDED)

    grad_query = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
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
            grad_query = _walk_keys(
                grad_query, query, grad, query_base, grad_base, row_lse, row_delta, key_base, value_base,
                begin if part == 0 else (full_begin if part == 1 else full_end),
                full_begin if part == 0 else (full_end if part == 1 else end),
                rows, columns, shift, n_queries, n_keys, score_scale, slope, half_window,
                stride_qt, stride_qd, stride_gt, stride_gd, stride_kt, stride_kd, stride_vt, stride_vd,
                CAUSAL, WINDOW, ALIBI, part != 1, FOLDED, D, BLOCK_D, BLOCK_M, BLOCK_N,
            )  # fmt: skip
    inside = (rows[:, None] < n_queries) & (columns[None, :] < D)
    tl.store(
        grad_q + row[:, None] * D + columns[None, :],
        (grad_query * scale).to(grad_q.dtype.element_ty),
        mask=inside,
    )
