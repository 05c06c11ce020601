"""Ways to break the norms."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_NORM = "kernels/norm/triton.py"

_TESTS = (
    "tests/kernels/test_mutation_guards.py::test_more_shares_than_are_added_at_once",
    "tests/kernels/test_layer_norm.py",
)

NORM = Group(
    "norm",
    _TESTS,
    (
        Mutant(
            _NORM,
            "mean = tl.sum(value, 1) * (1.0 / C)",
            "mean = tl.sum(value, 1) * (1.0 / BLOCK_C)",
            "mean over the padding",
        ),
        Mutant(
            _NORM,
            "value = tl.where(columns[None, :] < C, value, 0.0)",
            "value = value * 1.0",
            "padding in the variance",
        ),
        Mutant(
            _NORM,
            "tl.rsqrt(tl.sum(value * value, 1) * (1.0 / C) + eps)",
            "(tl.rsqrt(tl.sum(value * value, 1) * (1.0 / C)) + eps)",
            "eps added to the wrong number",
        ),
        Mutant(
            _NORM,
            "out = (value - mean[:, None]) * rstd[:, None] * scale[None, :]",
            "out = (value - mean[:, None]) * rstd[:, None]",
            "weight left out",
        ),
        Mutant(_NORM, "out += tl.load(bias", "out -= tl.load(bias", "sign of the bias"),
        Mutant(
            _NORM,
            "along = tl.sum(scaled * normal, 1) * (1.0 / C)",
            "along = tl.sum(scaled * normal, 1) * 0.0",
            "gradient through the variance dropped",
        ),
        Mutant(
            _NORM,
            "result -= (tl.sum(scaled, 1) * (1.0 / C))[:, None]",
            "result -= 0.0",
            "gradient through the mean dropped",
        ),
        Mutant(
            _NORM, "return result * rstd[:, None], normal", "return result, normal", "1/deviation left out"
        ),
        Mutant(_NORM, "scaled = grad * scale[None, :]", "scaled = grad * 1.0", "weight left out backward"),
        Mutant(
            _NORM,
            "share_w += slope * normal",
            "share_w = slope * normal",
            "weight's gradient of the last tile",
        ),
        Mutant(_NORM, "share_b += slope", "share_b = slope * 1.0", "bias' gradient of the last tile"),
        Mutant(
            _NORM,
            "result += tl.load(at, mask=inside, other=0.0).to(tl.float32)",
            "result += 0.0",
            "gradient of the sum dropped",
        ),
        Mutant(
            _NORM,
            "slope = tl.load(grad + row * stride_g + columns",
            "slope = tl.load(grad + row * C + columns",
            "a dense gradient expected",
        ),
        Mutant(
            _NORM,
            "value = rounded.to(tl.float32)",
            "value = value + 0.0",
            "the sum normalised before it is rounded",
        ),
        Mutant(
            _NORM,
            "tl.load(residual + row * stride_r",
            "tl.load(residual + row * C",
            "a dense residual expected",
        ),
        Mutant(
            _NORM,
            "at = grad_total + row * stride_t",
            "at = grad_total + row * C",
            "a dense gradient of the sum expected",
        ),
        Mutant(
            _NORM,
            "tl.store(at + step * C, tl.sum(share_b, 0)",
            "tl.store(at + step * C, tl.sum(share_w, 0)",
            "weight's share stored for the bias",
        ),
    ),
)

ADD_SHARES = Group(
    "norm_add_shares",
    _TESTS,
    (
        Mutant(
            _NORM,
            "acc += tl.load(shares",
            "acc = tl.load(shares",
            "only the last shares added up",
        ),
        Mutant(
            _NORM,
            "shares += tl.program_id(1) * n_shares * C",
            "shares += 0 * n_shares * C",
            "weight's shares for the bias too",
        ),
        Mutant(
            _NORM,
            "shares += tl.program_id(1) * n_shares * C",
            "shares += tl.program_id(1) * (n_shares - 1) * C",
            "bias' shares one program off",
        ),
        Mutant(
            _NORM,
            "columns = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)",
            "columns = tl.arange(0, BLOCK_C)",
            "first columns alone",
        ),
        Mutant(
            _NORM,
            "for start in range(0, n_shares, BLOCK_P)",
            "for start in range(0, n_shares - BLOCK_P, BLOCK_P)",
            "last shares left out",
        ),
        Mutant(
            _NORM,
            "rows = start + tl.arange(0, BLOCK_P)",
            "rows = tl.arange(0, BLOCK_P)",
            "first shares again and again",
        ),
        Mutant(
            _NORM,
            "inside = (rows < n_shares)[:, None]",
            "inside = (rows < n_shares - 1)[:, None]",
            "last program left out",
        ),
        Mutant(
            _NORM,
            "rows[:, None] * C + columns[None, :], mask=inside, other=0.0)\n    result",
            "rows[:, None] * BLOCK_C + columns[None, :], mask=inside, other=0.0)\n    result",
            "as many columns as a block has",
        ),
        Mutant(
            _NORM,
            "result = tl.sum(acc, 0)",
            "result = tl.sum(acc.to(tl.float16), 0)",
            "summed in half precision",
        ),
        Mutant(
            _NORM,
            "tl.program_id(1) == 0",
            "tl.program_id(1) == 1",
            "weight and bias exchanged",
        ),
        Mutant(
            _NORM,
            "result.to(grad_weight.dtype.element_ty), mask=columns < C)",
            "result.to(grad_weight.dtype.element_ty), mask=columns < C - 1)",
            "last column of the weight left out",
        ),
        Mutant(
            _NORM,
            "norm_add_shares[(ceil_div(width, REDUCED_COLUMNS),",
            "norm_add_shares[(max(1, width // REDUCED_COLUMNS),",
            "columns that fill no block left out",
        ),
    ),
)

GROUPS = (NORM, ADD_SHARES)
