"""Ways to break attention: the forward kernel, and what all of attention's kernels share."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_FOLDER = "kernels/attention/triton"
_FORWARD = f"{_FOLDER}/forward.py"
_SCORES = f"{_FOLDER}/scores.py"
_TILES = f"{_FOLDER}/tiles.py"
_DROPOUT = f"{_FOLDER}/dropout.py"
_OPERANDS = f"{_FOLDER}/operands.py"
_LAUNCH = f"{_FOLDER}/backend.py"

_TESTS = (
    "tests/kernels/test_mutation_guards.py",
    "tests/kernels/attention/triton/test_backend.py",
    "tests/kernels/attention/test_backends.py",
)
_OTHER_HEAD = "(head % (n_heads // group)).to(tl.int64)"

FORWARD = Group(
    "attention_forward",
    _TESTS,
    (
        Mutant(
            _FORWARD,
            "row_sum = row_sum * rescale + tl.sum(weight, 1)",
            "row_sum = row_sum + tl.sum(weight, 1)",
            "sum not rescaled",
        ),
        Mutant(_FORWARD, "acc = acc * rescale[:, None]", "acc = acc * 1.0", "accumulator not rescaled"),
        Mutant(
            _FORWARD,
            "acc_rest = acc_rest * rescale[:, None]",
            "acc_rest = acc_rest * 1.0",
            "second part of a head not rescaled",
        ),
        Mutant(
            _FORWARD,
            "new_max = tl.maximum(row_max, tl.max(score, 1))",
            "new_max = tl.max(score, 1)",
            "maximum forgets earlier blocks",
        ),
        Mutant(
            _FORWARD,
            "if MASKED or BIAS:  # a table too may hold -inf",
            "if MASKED:",
            "no anchor in a tile that the table hides",
        ),
        Mutant(
            _FORWARD,
            'anchor = tl.where(new_max == float("-inf"), 0.0, new_max)',
            "anchor = new_max",
            "-inf - -inf in a row that has seen nothing yet",
        ),
        Mutant(
            _FORWARD,
            "row_sum = tl.where(row_sum == 0.0, 1.0, row_sum)",
            "row_sum = row_sum * 1.0",
            "0 / 0 in a row that sees nothing",
        ),
        Mutant(
            _FORWARD,
            "(row_max + log2_sum) * LN_2 if FOLDED",
            "(row_max - log2_sum) * LN_2 if FOLDED",
            "sign in the log-sum-exp, half precision",
        ),
        Mutant(
            _FORWARD,
            "else row_max + log2_sum * LN_2",
            "else row_max + log2_sum",
            "log-sum-exp to base 2, fp32",
        ),
        Mutant(
            _FORWARD,
            "value_base = v + start_k * stride_vt + (head // group).to(tl.int64)",
            f"value_base = v + start_k * stride_vt + {_OTHER_HEAD}",
            "values of another group's head",
        ),
        Mutant(
            _FORWARD,
            "key_base = k + start_k * stride_kt",
            "key_base = k + start_k * stride_vt",
            "keys found by the values' stride",
        ),
        Mutant(
            _FORWARD,
            "rows + shift, state, n_keys",
            "rows, state, n_keys",
            "beginnings aligned instead of ends",
        ),
        Mutant(
            _TILES,
            "BLOCK, STEP, 2 if WINDOW else 0, ahead",
            "BLOCK, STEP, 0, ahead",
            "no mask at the window's far edge",
        ),
        Mutant(_FORWARD, "row_sum += 1.0", "row_sum += 0.0", "sink left out of the sum"),
        Mutant(
            _FORWARD,
            "tl.load(sink + head) * (LOG2_E if FOLDED else 1.0)",
            "tl.load(sink + head)",
            "sink to another base, half precision",
        ),
        Mutant(
            _FORWARD,
            "row_sum = row_sum / kept_scale",
            "row_sum = row_sum * 1.0",
            "kept weights not scaled up",
        ),
        Mutant(
            _FORWARD,
            "row_state((start_q + rows) * n_heads + head, seed_low",
            "row_state((start_q + rows) * n_heads, seed_low",
            "dropout mask shared by heads",
        ),
    ),
)

SHARED = Group(
    "attention_shared",
    ("tests/kernels/attention/triton/test_dropout.py", *_TESTS),
    (
        Mutant(
            _SCORES, "tl.where(distance <= 0, score", "tl.where(distance < 0, score", "causal, itself hidden"
        ),
        Mutant(
            _SCORES,
            "tl.abs(distance) <= half_window",
            "tl.abs(distance) < half_window",
            "window one token too narrow",
        ),
        Mutant(_SCORES, "tl.where(keys < n_keys", "tl.where(keys <= n_keys", "one key too many"),
        Mutant(
            _SCORES,
            "score -= slope * tl.abs(distance).to(tl.float32)",
            "score += slope * distance.to(tl.float32)",
            "ALiBi rewards keys ahead",
        ),
        Mutant(_SCORES, "slope = slope * LOG2_E", "slope = slope * 1.0", "slopes to another base"),
        Mutant(
            _OPERANDS, "None if x is None else x.contiguous()", "x", "slopes and sinks expected side by side"
        ),
        Mutant(
            _OPERANDS,
            '"cu_seqlens_k": cu_seqlens_k.contiguous()',
            '"cu_seqlens_k": cu_seqlens_k',
            "starts of sequences expected side by side",
        ),
        Mutant(
            _SCORES,
            "line = bias + head * (2 * far + 1) + far",
            "line = bias + head * (2 * far + 1) + far - 1",
            "bias of the neighbouring distance",
        ),
        Mutant(
            _SCORES,
            "tl.minimum(tl.maximum(distance, -far), far)",
            "tl.minimum(tl.maximum(-distance, -far), far)",
            "bias of the opposite direction",
        ),
        Mutant(
            _SCORES, "product * (scale / cap)", "product * scale", "soft cap of what was not divided by it"
        ),
        Mutant(
            _SCORES, "return bounded, r * (2.0 - r)", "return bounded, r * (1.0 - r)", "derivative of tanh"
        ),
        Mutant(
            _TILES,
            "full_begin = (tl.maximum(full_begin, 0) + STEP - 1) // STEP * STEP",
            "full_begin = tl.maximum(full_begin, 0) // STEP * STEP",
            "a partly hidden block taken for a visible one",
        ),
        Mutant(
            _TILES,
            "end = tl.minimum(n, high + half_window + 1)\n",
            "end = tl.minimum(n, high + half_window)\n",
            "walk ends one key before the window",
        ),
        Mutant(
            _TILES,
            "full_end = tl.minimum(n, low + half_window + 1)",
            "full_end = tl.minimum(n, high + half_window + 1)",
            "last blocks of a window unmasked",
        ),
        Mutant(
            _TILES,
            "total = tl.dot(a_rest, tl.trans(b_rest), total, input_precision=PRECISION)",
            "total = total * 1.0",
            "second part of a head left out of products",
        ),
        Mutant(
            _TILES,
            "D if BLOCK_E == 0 else BLOCK_D, BLOCK_D, MASK_ROWS",
            "BLOCK_D, BLOCK_D, MASK_ROWS",
            "columns beyond the head read",
        ),
        Mutant(
            _TILES,
            "left = load_tile(a, a_rows, columns, stride_at, stride_ad, n_a,",
            "left = load_tile(a, a_rows, columns, stride_at, 1, n_a,",
            "products by parts expect dense columns",
        ),
        Mutant(
            _TILES,
            "right = load_tile(b, b_rows, columns, stride_bt, stride_bd, n_b,",
            "right = load_tile(b, b_rows, columns, stride_bt, 1, n_b,",
            "the same of their second factor",
        ),
        Mutant(_DROPOUT, ">= threshold.to(", "< threshold.to(", "dropped and kept exchanged"),
        Mutant(_DROPOUT, "high = (row >> 32)", "high = (row >> 31)", "upper word of a row"),
        Mutant(_OPERANDS, "bias.mul_(unit)", "bias.mul_(1.0)", "table to another base"),
        Mutant(
            _OPERANDS,
            '"seed_high": (seed >> 32) & WORD',
            '"seed_high": (seed >> 33) & WORD',
            "upper word of the seed",
        ),
        Mutant(
            _LAUNCH,
            "grad_sink = -(weight * delta)",
            "grad_sink = (weight * delta)",
            "sign of the sink's gradient",
        ),
        Mutant(
            _LAUNCH,
            "blocks_kv = triton.cdiv(max_length_k",
            "blocks_kv = triton.cdiv(max_length_q",
            "as many blocks of keys as of queries",
        ),
    ),
)

GROUPS = (FORWARD, SHARED)
