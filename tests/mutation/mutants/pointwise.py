"""Ways to break rotary embedding, gated units and the squared ReLU."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_ROTARY = "kernels/rotary/triton.py"
_GLU = "kernels/glu/triton.py"

ROTARY = Group(
    "rotary",
    ("tests/kernels/test_rotary.py",),
    (
        Mutant(
            _ROTARY,
            "tl.join(first * c - second * s, second * c + first * s)",
            "tl.join(first * c + second * s, second * c - first * s)",
            "neighbours turned backward",
        ),
        Mutant(
            _ROTARY,
            "tl.store(to, (first * c - second * s)",
            "tl.store(to, (first * c + second * s)",
            "sign in the first half",
        ),
        Mutant(
            _ROTARY,
            "tl.store(to + D // 2, (second * c + first * s)",
            "tl.store(to + D // 2, (first * c + second * s)",
            "halves exchanged",
        ),
        Mutant(
            _ROTARY,
            "at = position[:, None] * (D // 2)",
            "at = token[:, None] * (D // 2)",
            "angle of the index, not the position",
        ),
        Mutant(
            _ROTARY,
            "(rows % n_heads).to(tl.int64) * head_stride",
            "(rows % n_heads).to(tl.int64) * D",
            "dense heads expected",
        ),
        Mutant(
            _ROTARY,
            "token.to(tl.int64) * row_stride",
            "token.to(tl.int64) * (n_heads * D)",
            "dense tokens expected",
        ),
        Mutant(_ROTARY, "(position >= 0) &", "(position > 0) &", "first position unknown"),
        Mutant(_ROTARY, "interleaved, -1.0)", "interleaved, 1.0)", "gradient not turned back"),
        Mutant(
            _ROTARY,
            "second = tl.load(near + (D // 2) * column_stride",
            "second = tl.load(near + (D // 2)",
            "dense halves expected",
        ),
        Mutant(
            _ROTARY,
            "source[:, None] + column[None, :] * column_stride",
            "source[:, None] + column[None, :]",
            "dense neighbours expected",
        ),
        Mutant(
            _ROTARY,
            "blocks_q, tokens, cos.shape[0], sign",
            "blocks_q, tokens, cos.shape[0] - 1, sign",
            "last position unknown",
        ),
        Mutant(
            _ROTARY,
            "(program - n_blocks_q) * ROWS",
            "(program - n_blocks_q) * ROWS + 1",
            "first row of keys left out",
        ),
    ),
)

GLU = Group(
    "glu",
    (
        "tests/kernels/test_mutation_guards.py::test_every_activation_and_its_derivative",
        "tests/kernels/test_glu.py",
    ),
    (
        Mutant(
            _GLU, "return tl.where(a <= 0.0, 0.0, a)", "return tl.where(a > 0.0, a, 0.0)", "NaN becomes 0"
        ),
        Mutant(_GLU, "tl.erf(a * 0.7071067811865476)", "tl.erf(a)", "another normal distribution"),
        Mutant(
            _GLU,
            "share + a * tl.exp(-0.5 * a * a) * 0.3989422804014327",
            "share + tl.exp(-0.5 * a * a) * 0.3989422804014327",
            "derivative of gelu",
        ),
        Mutant(_GLU, "0.134145 * a * a", "0.044715 * a * a", "derivative of gelu_tanh"),
        Mutant(
            _GLU,
            "share = tl.sigmoid(a)\n        return a * share, share + a * share * (1.0 - share)",
            "share = tl.sigmoid(a)\n        return a * share, share + a * share * share",
            "derivative of silu",
        ),
        Mutant(
            _GLU,
            "tl.where(a <= 0.0, 0.0, 1.0)",
            "tl.where(a < 0.0, 0.0, 1.0)",
            "derivative of relu at 0",
        ),
        Mutant(_GLU, "(active * factor).to(", "(active + factor).to(", "added instead of multiplied"),
        Mutant(_GLU, "(slope * factor * steepness)", "(slope * factor)", "derivative left out"),
        Mutant(_GLU, "(slope * active).to(", "(slope * value).to(", "activation left out backward"),
        Mutant(
            "kernels/operation.py",
            "return x if x.stride(1) == 1 else x.contiguous()",
            "return x",
            "dense rows expected",
        ),
    ),
)

SQUARED_RELU = Group(
    "squared_relu",
    (
        "tests/kernels/test_mutation_guards.py::test_the_squared_relu_of_any_strides",
        "tests/kernels/test_glu.py",
    ),
    (
        Mutant(_GLU, "(value * value).to(", "(value * 1.0).to(", "square left out"),
        Mutant(
            _GLU, "(2.0 * slope * _positive(value))", "(slope * _positive(value))", "derivative of a square"
        ),
        Mutant(
            _GLU,
            "value = _positive(\n        tl.load(",
            "value = (\n        tl.load(",
            "negative numbers squared",
        ),
        Mutant(
            _GLU,
            "(2.0 * slope * _positive(value))",
            "(2.0 * slope * value)",
            "gradient of negative numbers",
        ),
        Mutant(
            _GLU,
            "tl.load(x + row * stride_xt + column * stride_xf, mask=inside, other=0.0).to(tl.float32)\n    )",
            "tl.load(x + row * stride_xt + column, mask=inside, other=0.0).to(tl.float32)\n    )",
            "dense columns expected",
        ),
        Mutant(
            _GLU,
            "tl.load(x + row * stride_xt + column * stride_xf, mask=inside, other=0.0).to(tl.float32)\n    )",
            "tl.load(x + row * F + column * stride_xf, mask=inside, other=0.0).to(tl.float32)\n    )",
            "dense rows expected",
        ),
        Mutant(
            _GLU,
            "x + row * stride_xt + column * stride_xf, mask=inside, other=0.0).to(tl.float32)\n    slope",
            "x + row * stride_xt + column, mask=inside, other=0.0).to(tl.float32)\n    slope",
            "dense columns expected backward",
        ),
        Mutant(
            _GLU,
            "x + row * stride_xt + column * stride_xf, mask=inside, other=0.0).to(tl.float32)\n    slope",
            "x + row * F + column * stride_xf, mask=inside, other=0.0).to(tl.float32)\n    slope",
            "dense rows expected backward",
        ),
        Mutant(
            _GLU,
            "row * stride_gt + column * stride_gf, mask=inside, other=0.0).to(tl.float32)\n    tl.store",
            "row * stride_gt + column, mask=inside, other=0.0).to(tl.float32)\n    tl.store",
            "dense columns of the gradient expected",
        ),
        Mutant(
            _GLU,
            "row * stride_gt + column * stride_gf, mask=inside, other=0.0).to(tl.float32)\n    tl.store",
            "row * F + column * stride_gf, mask=inside, other=0.0).to(tl.float32)\n    tl.store",
            "dense rows of the gradient expected",
        ),
        Mutant(
            _GLU,
            "squared_relu_forward[grid]",
            'squared_relu_forward[(grid[0], max(1, width // sizes["BLOCK"]))]',
            "columns that fill no block left out",
        ),
        Mutant(
            _GLU,
            "squared_relu_backward[grid]",
            'squared_relu_backward[(max(1, n_rows // sizes["ROWS"]), grid[1])]',
            "rows that fill no block without a gradient",
        ),
    ),
)

GROUPS = (ROTARY, GLU, SQUARED_RELU)
