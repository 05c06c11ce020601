"""Ways to break attention's backward kernels: of keys and values, of queries, of a table, and delta."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_FOLDER = "kernels/attention/triton"
_KEY_VALUE = f"{_FOLDER}/backward_key_value.py"
_QUERY = f"{_FOLDER}/backward_query.py"
_BIAS = f"{_FOLDER}/bias_gradient.py"
_DELTA = f"{_FOLDER}/delta.py"
_LAUNCH = f"{_FOLDER}/backend.py"

_TESTS = (
    "tests/kernels/test_mutation_guards.py",
    "tests/kernels/attention/triton/test_backend.py",
    "tests/kernels/attention/test_backends.py",
)
_OTHER_HEAD = "(head % (n_heads // group)).to(tl.int64)"

KEY_VALUE = Group(
    "attention_backward_key_value",
    _TESTS,
    (
        Mutant(
            _KEY_VALUE,
            "(grad_weight - tl.load(delta + row, mask=inside, other=0.0)[None, :])",
            "(grad_weight - 0.0)",
            "delta dropped",
        ),
        Mutant(
            _KEY_VALUE,
            "first, n_queries, shift, half_window",
            "first, n_queries, -shift, half_window",
            "bounds turned the wrong way",
        ),
        Mutant(
            _KEY_VALUE,
            "(rows + shift)[None, :], n_keys",
            "rows[None, :], n_keys",
            "beginnings aligned instead of ends",
        ),
        Mutant(
            _KEY_VALUE,
            "BLOCK_N, BLOCK_M, CAUSAL, WINDOW",
            "BLOCK_N, BLOCK_M, False, WINDOW",
            "no mask at the diagonal",
        ),
        Mutant(
            _KEY_VALUE,
            "range(kv_head * group, (kv_head + 1) * group)",
            "range(kv_head * group, kv_head * group + 1)",
            "only the first head of a group",
        ),
        Mutant(
            _KEY_VALUE,
            "lse, delta, start_q * n_heads + head,",
            "lse, delta, start_q * n_heads + kv_head,",
            "log-sum-exp of another head",
        ),
        Mutant(
            _KEY_VALUE,
            "+ start_q * stride_gt + tl.cast(head, tl.int64)",
            "+ start_q * stride_gt + tl.cast(kv_head, tl.int64)",
            "incoming gradient of another head",
        ),
        Mutant(_KEY_VALUE, "grad_key *= scale", "grad_key *= score_scale", "scale to base 2, half precision"),
        Mutant(
            _KEY_VALUE,
            "grad_key_rest *= scale",
            "grad_key_rest *= 1.0",
            "second part of a head not scaled",
        ),
        Mutant(
            _KEY_VALUE,
            "kept = tl.where(stays, weight, 0.0)",
            "kept = weight * 1.0",
            "dropped weights give dV",
        ),
        Mutant(
            _KEY_VALUE,
            "grad_weight = tl.where(stays, grad_weight * kept_scale, 0.0)",
            "grad_weight = tl.where(stays, grad_weight, 0.0)",
            "dP of kept weights not scaled up",
        ),
        Mutant(_KEY_VALUE, "grad_value *= kept_scale", "grad_value *= 1.0", "dV not scaled up"),
        Mutant(
            _KEY_VALUE,
            "grad_value_rest *= kept_scale",
            "grad_value_rest *= 1.0",
            "second part of dV not scaled up",
        ),
        Mutant(_KEY_VALUE, "grad_score *= steepness", "grad_score *= 1.0", "soft cap's derivative left out"),
        Mutant(
            _KEY_VALUE,
            "row_state(row, seed_low, seed_high)",
            "row_state(row, seed_high, seed_low)",
            "another dropout mask than forward",
        ),
        Mutant(
            _KEY_VALUE,
            "grad_base, rows, stride_gt, stride_gd, n_queries, D, BLOCK_D",
            "grad_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_D",
            "gradient read by the queries' strides",
        ),
        Mutant(
            _KEY_VALUE,
            "grad_base, rows, stride_gt, stride_gd, n_queries, D, BLOCK_N",
            "grad_base, rows, stride_qt, stride_qd, n_queries, D, BLOCK_N",
            "the same in a product by parts",
        ),
    ),
)

QUERY = Group(
    "attention_backward_query",
    _TESTS,
    (
        Mutant(_QUERY, "(grad_weight - row_delta[:, None])", "(grad_weight - 0.0)", "delta dropped"),
        Mutant(_QUERY, "grad_query *= scale", "grad_query *= score_scale", "scale to base 2, half precision"),
        Mutant(
            _QUERY, "grad_query_rest *= scale", "grad_query_rest *= 1.0", "second part of a head not scaled"
        ),
        Mutant(
            _QUERY,
            "key_base = k + start_k * stride_kt + (head // group).to(tl.int64)",
            f"key_base = k + start_k * stride_kt + {_OTHER_HEAD}",
            "keys of another group's head",
        ),
        Mutant(
            _QUERY,
            "row_state(row, seed_low, seed_high)",
            "row_state(row + 1, seed_low, seed_high)",
            "another dropout mask than forward",
        ),
        Mutant(
            _QUERY,
            "grad_weight = tl.where(stays, grad_weight * kept_scale, 0.0)",
            "grad_weight = grad_weight * kept_scale",
            "dropped weights give dQ",
        ),
        Mutant(_QUERY, "grad_score *= steepness", "grad_score *= 1.0", "soft cap's derivative left out"),
        Mutant(
            _QUERY,
            "rows, first + shift, shift, state",
            "rows, first, shift, state",
            "table's distances from another origin",
        ),
        Mutant(
            _QUERY,
            "(rows + shift)[:, None], n_keys",
            "rows[:, None], n_keys",
            "beginnings aligned instead of ends",
        ),
        Mutant(
            _QUERY,
            "BLOCK_M, BLOCK_N, CAUSAL, WINDOW",
            "BLOCK_M, BLOCK_N, False, WINDOW",
            "no mask at the diagonal",
        ),
        Mutant(
            _QUERY,
            "grad_base = grad_out + start_q * stride_gt",
            "grad_base = grad_out + start_q * stride_qt",
            "gradient found by the queries' stride",
        ),
    ),
)

TABLE = Group(
    "attention_bias_gradient",
    (
        "tests/kernels/test_mutation_guards.py::test_every_option_at_once",
        "tests/kernels/attention/triton/test_backend.py::test_each_option",
        "tests/kernels/attention/triton/test_backend.py::test_tables_of_any_size",
    ),
    (
        Mutant(
            _QUERY,
            "table = add_to_buckets(table, carried + behind,",
            "table = add_to_buckets(table, behind,",
            "carried sums dropped",
        ),
        Mutant(
            _QUERY,
            "table = add_to_buckets(table, carried, nearest - BLOCK_M, buckets",
            "table = add_to_buckets(table, carried, nearest, buckets",
            "last sums one block off",
        ),
        Mutant(
            _BIAS,
            "turned = tl.gather(tile, (column - diagonal) & (SIZE - 1), 0)",
            "turned = tl.gather(tile, (column + diagonal) & (SIZE - 1), 0)",
            "diagonals turned the other way",
        ),
        Mutant(
            _BIAS,
            "tl.where(column >= diagonal, turned, 0.0)",
            "tl.where(column > diagonal, turned, 0.0)",
            "a diagonal's first element left out",
        ),
        Mutant(
            _BIAS,
            "distance = nearest + tl.arange(0, SIZE)",
            "distance = nearest + 1 + tl.arange(0, SIZE)",
            "buckets one distance off",
        ),
        Mutant(
            _BIAS,
            "tl.where(column < diagonal, turned, 0.0)",
            "tl.where(column <= diagonal, turned, 0.0)",
            "a diagonal's first element counted twice",
        ),
        Mutant(
            _BIAS,
            "return ahead, behind",
            "return behind, ahead",
            "sums ahead and behind exchanged",
        ),
        Mutant(
            _BIAS,
            "buckets + far + tl.minimum(tl.maximum(distance, -far), far)",
            "buckets + far - tl.minimum(tl.maximum(distance, -far), far)",
            "buckets of the opposite direction",
        ),
        Mutant(
            _BIAS,
            "tl.minimum(tl.maximum(distance, -far), far)",
            "tl.minimum(tl.maximum(distance, -(far // 2)), far // 2)",
            "what is far counted as if it were near",
        ),
        Mutant(_BIAS, "return table + tl.sum(", "return tl.sum(", "only the last sums kept"),
        Mutant(_QUERY, "carried = ahead\n", "carried += ahead\n", "carried sums carried on"),
        Mutant(
            _QUERY,
            "nearest = start - origin",
            "nearest = start - origin + 1",
            "sums one distance off inside the walk",
        ),
        Mutant(
            _LAUNCH,
            "partial.sum((0, 2))",
            "partial[:, :, :1].sum((0, 2))",
            "gradient from first blocks alone",
        ),
        Mutant(
            _LAUNCH,
            "partial.sum((0, 2))",
            "partial[:1].sum((0, 2))",
            "gradient from the first sequence alone",
        ),
        Mutant(
            _LAUNCH,
            "bucket_line(table, options, longest)",
            "bucket_line(table, AttentionOptions(1.0, not options.causal), longest)",
            "buckets of the other kind of attention",
        ),
    ),
)

DELTA = Group(
    "attention_delta",
    (
        "tests/kernels/test_mutation_guards.py::test_the_gradient_of_lse_may_have_any_strides",
        "tests/kernels/test_mutation_guards.py::test_rows_that_see_nothing",
        "tests/kernels/test_mutation_guards.py::test_every_option_at_once",
    ),
    (
        Mutant(
            _DELTA,
            "tl.sum(grad * output, 1) - from_lse",
            "tl.sum(grad * output, 1) + from_lse",
            "sign of the log-sum-exp's gradient",
        ),
        Mutant(
            _DELTA,
            "tl.sum(grad * output, 1) - from_lse",
            "tl.sum(grad * output, 1)",
            "gradient of the log-sum-exp dropped",
        ),
        Mutant(
            _DELTA,
            "tl.sum(grad * output, 1) - from_lse",
            "tl.max(grad * output, 1) - from_lse",
            "largest product instead of their sum",
        ),
        Mutant(
            _DELTA,
            "tl.where(blind, 0.0, found)",
            "found",
            "an infinite gradient in a row that sees nothing",
        ),
        Mutant(
            _DELTA,
            "token * stride_lt + head * stride_lh",
            "token * stride_lt + head",
            "a dense log-sum-exp gradient expected",
        ),
        Mutant(
            _DELTA,
            "token * stride_lt + head * stride_lh",
            "token * n_heads + head * stride_lh",
            "the same of its tokens",
        ),
        Mutant(
            _DELTA,
            "token[:, None] * stride_gt + head[:, None] * stride_gh",
            "token[:, None] * stride_gt + head[:, None] * D",
            "dense heads of the gradient expected",
        ),
        Mutant(
            _DELTA,
            "token[:, None] * stride_gt + head[:, None] * stride_gh",
            "token[:, None] * (n_heads * D) + head[:, None] * stride_gh",
            "dense tokens of the gradient expected",
        ),
        Mutant(
            _DELTA,
            "columns[None, :] * stride_gd",
            "columns[None, :]",
            "dense columns of the gradient expected",
        ),
        Mutant(_DELTA, "head = row % n_heads", "head = row * 0", "gradient of the first head"),
        Mutant(
            _DELTA,
            "tl.load(out + row[:, None] * D",
            "tl.load(out + token[:, None] * D",
            "output of another row",
        ),
        Mutant(
            _DELTA,
            "(columns[None, :] < D)",
            "(columns[None, :] < D - 1)",
            "last column left out",
        ),
        Mutant(
            _DELTA,
            "row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)",
            "row = tl.arange(0, BLOCK_M)",
            "the first block's rows in every block",
        ),
        Mutant(
            _DELTA,
            'float("inf"), value * LOG2_E if FOLDED',
            'float("-inf"), value * LOG2_E if FOLDED',
            "-inf - -inf in a row that sees nothing",
        ),
        Mutant(
            _DELTA,
            "value * LOG2_E if FOLDED else value",
            "value",
            "log-sum-exp to another base, half precision",
        ),
    ),
)

GROUPS = (KEY_VALUE, QUERY, TABLE, DELTA)
