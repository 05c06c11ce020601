"""Ways to break attention's backward kernels."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_FOLDER = "kernels/attention"
_KEY_VALUE = f"{_FOLDER}/backward_key_value.py"
_QUERY = f"{_FOLDER}/backward_query.py"
_BIAS = f"{_FOLDER}/bias_gradient.py"

_TESTS = (
    "tests/kernels/test_mutation_guards.py",
    "tests/kernels/test_triton.py",
    "tests/kernels/test_backends.py",
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
    ),
)

GROUPS = (KEY_VALUE, QUERY)
