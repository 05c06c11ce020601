"""Ways to break the statistics and the rows of attention weights."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_KERNELS = "kernels/attention/weights/triton_kernels.py"
_TESTS = (
    "tests/kernels/test_mutation_guards.py::test_statistics",
    "tests/kernels/test_mutation_guards.py::test_statistics_of_wide_heads",
    "tests/kernels/attention/weights/test_statistics.py",
)
_OTHER_HEAD = "(head % (n_heads // group)).to(tl.int64)"

STATISTICS = Group(
    "attention_statistics",
    _TESTS,
    (
        Mutant(
            _KERNELS,
            "tl.where(exponent < HIDDEN, HIDDEN, exponent)",
            "tl.maximum(exponent, HIDDEN)",
            "a score that is no number counts as hidden",
        ),
        Mutant(
            _KERNELS,
            "nats = (tl.log2(total) - mean) * LN_2 if FOLDED",
            "nats = (tl.log2(total) - mean) if FOLDED",
            "entropy in bits, half precision",
        ),
        Mutant(
            _KERNELS,
            "else tl.log2(total) * LN_2 - mean",
            "else tl.log2(total) * LN_2 + mean",
            "sign in the entropy, fp32",
        ),
        Mutant(
            _KERNELS,
            "apart = tl.abs(keys.to(tl.float32)[None, :] - positions.to(tl.float32)[:, None])",
            "apart = keys.to(tl.float32)[None, :] - positions.to(tl.float32)[:, None]",
            "distances with a sign",
        ),
        Mutant(
            _KERNELS,
            "most = tl.maximum(most, partial_maxima(part, PARTS))",
            "most = partial_maxima(part, PARTS)",
            "largest weight of the last block",
        ),
        Mutant(_KERNELS, "marks = marked + start_k", "marks = marked", "marks of the first sequence"),
        Mutant(
            _KERNELS,
            "total += exponential(own - anchor, FOLDED)",
            "total += 0.0",
            "sink left out of the total",
        ),
        Mutant(
            _KERNELS,
            "own = tl.load(sink + head).to(tl.float32) * (LOG2_E if FOLDED else 1.0)",
            "own = tl.load(sink + head).to(tl.float32)",
            "sink to another base, half precision",
        ),
        Mutant(
            _KERNELS,
            "if MASKED or BIAS:  # a table",
            "if BIAS and not MASKED:  # a table",
            "0 * -inf at a hidden key",
        ),
        Mutant(
            _KERNELS,
            "-HIDDEN, value * LOG2_E if FOLDED else value)",
            "-HIDDEN, value)",
            "log-sum-exp to another base, half precision",
        ),
        Mutant(
            _KERNELS,
            "anchor, rows + shift, n_keys",
            "anchor, rows, n_keys",
            "beginnings aligned instead of ends",
        ),
        Mutant(
            _KERNELS,
            "query_base, rows, stride_qt, stride_qd, n_rows,",
            "query_base, rows, stride_qt, 1, n_rows,",
            "products by parts expect dense columns of queries",
        ),
        Mutant(
            _KERNELS,
            "key_base, keys, stride_kt, stride_kd, n_keys,\n                D, BLOCK_M",
            "key_base, keys, stride_kt, 1, n_keys,\n                D, BLOCK_M",
            "products by parts expect dense columns of keys",
        ),
        Mutant(
            _KERNELS,
            "first, n_keys, shift, half_window, BLOCK_M, BLOCK_N",
            "first, n_keys, shift, half_window, BLOCK_N, BLOCK_M",
            "sides of a block exchanged",
        ),
        Mutant(
            _KERNELS,
            "tl.store(share + row, 1.0 / total",
            "tl.store(share + row, total",
            "share of a weight turned over",
        ),
    ),
)

RECEIVED = Group(
    "attention_received",
    _TESTS,
    (
        Mutant(
            _KERNELS,
            "first, n_queries, shift, half_window",
            "first, n_queries, -shift, half_window",
            "bounds turned the wrong way",
        ),
        Mutant(
            _KERNELS,
            "anchors, share, start_q * n_heads + head,",
            "anchors, share, start_q * n_heads + head // group,",
            "log-sum-exp of another head",
        ),
        Mutant(
            _KERNELS,
            "(rows + shift)[None, :], n_keys",
            "rows[None, :], n_keys",
            "beginnings aligned instead of ends",
        ),
        Mutant(
            _KERNELS,
            "key_base, keys, stride_kt, stride_kd, n_rows,",
            "key_base, keys, stride_kt, 1, n_rows,",
            "products by parts expect dense columns of keys",
        ),
        Mutant(
            _KERNELS,
            "query_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_N",
            "query_base, rows, stride_qt, 1, n_queries, D, BLOCK_N",
            "products by parts expect dense columns of queries",
        ),
        Mutant(
            _KERNELS,
            "part *= tl.load(share + row, mask=inside, other=0.0)[None, :]",
            "part *= 1.0",
            "weights not divided by their sum",
        ),
        Mutant(
            _KERNELS,
            "total += partial_sums(part, PARTS)\n    return total",
            "total = partial_sums(part, PARTS)\n    return total",
            "only the last block of queries counts",
        ),
        Mutant(
            _KERNELS,
            "row = row_base + rows.to(tl.int64) * n_heads",
            "row = row_base + rows.to(tl.int64)",
            "rows of one head expected side by side",
        ),
        Mutant(
            _KERNELS,
            "MASKED and (CAUSAL or WINDOW)",
            "MASKED and WINDOW",
            "no mask at the diagonal",
        ),
        Mutant(
            _KERNELS,
            "if CAUSAL or WINDOW or part > 0:",
            "if WINDOW or part > 0:",
            "blocks at the diagonal left out",
        ),
        Mutant(
            _KERNELS,
            "first, n_queries, shift, half_window, BLOCK_N, BLOCK_M",
            "first, n_queries, shift, half_window, BLOCK_M, BLOCK_N",
            "sides of a block exchanged",
        ),
        Mutant(
            _KERNELS,
            "(head // group).to(tl.int64) * stride_kh\n    key, key_rest",
            f"{_OTHER_HEAD} * stride_kh\n    key, key_rest",
            "keys of another group's head",
        ),
        Mutant(
            _KERNELS,
            "+ head, tl.sum(total, 1), mask=keys < n_keys)",
            "+ head, tl.sum(total, 1), mask=keys < n_keys - 1)",
            "last key of a sequence left out",
        ),
    ),
)

ROWS = Group(
    "attention_rows",
    _TESTS,
    (
        Mutant(
            _KERNELS,
            "position = (token - start_q).to(tl.int32) + n_keys - n_queries",
            "position = (token - start_q).to(tl.int32)",
            "beginnings aligned instead of ends",
        ),
        Mutant(
            _KERNELS,
            "mask=columns < D, other=0.0).to(tl.float32)",
            "mask=columns < D - 1, other=0.0).to(tl.float32)",
            "last column of a head left out",
        ),
        Mutant(
            _KERNELS,
            "head.to(tl.int64) * stride_qh + columns * stride_qd",
            "head.to(tl.int64) * stride_qh + columns",
            "dense columns of queries expected",
        ),
        Mutant(
            _KERNELS,
            "load_tile(key_base, keys, columns, stride_kt, stride_kd, n_keys",
            "load_tile(key_base, keys, columns, stride_kt, 1, n_keys",
            "dense columns of keys expected",
        ),
        Mutant(
            _KERNELS,
            "(head // group).to(tl.int64) * stride_kh\n    key = load_tile",
            f"{_OTHER_HEAD} * stride_kh\n    key = load_tile",
            "keys of another group's head",
        ),
        Mutant(
            _KERNELS,
            "load_anchor(anchors, token * n_heads + head, there, FOLDED)",
            "load_anchor(anchors, chosen * n_heads + head, there, FOLDED)",
            "log-sum-exp of another row",
        ),
        Mutant(
            _KERNELS,
            "there = (token >= 0) &",
            "there = (token > 0) &",
            "first row taken for one that is not there",
        ),
        Mutant(
            _KERNELS,
            "(token < n_tokens)",
            "(token < n_tokens - 1)",
            "last row taken for one that is not there",
        ),
        Mutant(
            _KERNELS,
            "(chosen.to(tl.int64) * n_heads + head) * width + keys",
            "(chosen.to(tl.int64) * n_heads + head) * n_keys + keys",
            "as many columns as the sequence has keys",
        ),
        Mutant(
            _KERNELS,
            "exponential(score - anchor, FOLDED), mask=keys < width)",
            "exponential(score - anchor, FOLDED), mask=keys < n_keys)",
            "nothing written beyond a sequence's keys",
        ),
        Mutant(
            _KERNELS,
            "keys = block * BLOCK_N + tl.arange(0, BLOCK_N)",
            "keys = tl.arange(0, BLOCK_N)",
            "the first block's keys in every block",
        ),
        Mutant(
            _KERNELS,
            "FOLDED, True,\n    )  # fmt: skip\n    anchor",
            "FOLDED, False,\n    )  # fmt: skip\n    anchor",
            "nothing hidden",
        ),
        Mutant(
            _KERNELS,
            "start_k, n_keys = span(cu_seqlens_k, sequence)\n    n_keys = tl.where",
            "start_k, n_keys = span(cu_seqlens_q, sequence)\n    n_keys = tl.where",
            "keys found by the queries' boundaries",
        ),
    ),
)

GROUPS = (STATISTICS, RECEIVED, ROWS)
