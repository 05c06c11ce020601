"""Ways to break the norms, and the embedding with a norm."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_NORM = "kernels/norm_triton.py"
_EMBEDDING = "kernels/embedding_norm_triton.py"

NORM = Group(
    "norm",
    (
        "tests/kernels/test_mutation_guards.py::test_more_shares_than_are_added_at_once",
        "tests/kernels/test_layer_norm.py",
    ),
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
            "acc += tl.load(shares",
            "acc = tl.load(shares",
            "only the last shares added up",
        ),
        Mutant(
            _NORM,
            "slope = tl.load(grad + row * stride_g + columns",
            "slope = tl.load(grad + row * C + columns",
            "a dense gradient expected",
        ),
    ),
)

EMBEDDING_NORM = Group(
    "embedding_norm",
    ("tests/kernels/test_embedding_norm.py::test_runs_of_a_token", "tests/kernels/test_embedding_norm.py"),
    (
        Mutant(_EMBEDDING, "(which < n_known)", "(which < n_known - 1)", "last row of a table unknown"),
        Mutant(
            _EMBEDDING,
            "value += _gather(position_table",
            "value -= _gather(position_table",
            "sign of positions",
        ),
        Mutant(
            _EMBEDDING,
            "slope = tl.load(grad + row * stride_gt + columns[None, :] * stride_gc",
            "slope = tl.load(grad + row * C + columns[None, :]",
            "a dense gradient expected",
        ),
        Mutant(
            _EMBEDDING,
            "share_w += slope * normal",
            "share_w = slope * normal",
            "weight's gradient of the last tile",
        ),
        Mutant(
            _EMBEDDING,
            "is_head = (begin > 0) & (before == token)",
            "is_head = (begin < 0) & (before == token)",
            "a run's later chunks stored as if whole",
        ),
        Mutant(
            _EMBEDDING,
            "            acc = tl.zeros([BLOCK_C], tl.float32)\n            is_head = False",
            "            is_head = False",
            "a run begins with the sum of the one before",
        ),
        Mutant(
            _EMBEDDING,
            "            is_head = False\n",
            "            is_head = is_head\n",
            "every run a later part",
        ),
        Mutant(
            _EMBEDDING,
            "end = tl.minimum(begin + CHUNK, n)",
            "end = tl.minimum(begin + CHUNK - 1, n)",
            "a chunk's last token left out",
        ),
        Mutant(
            _EMBEDDING,
            "acc = tl.load(tails + chunk.to(tl.int64) * C + columns, mask=inside, other=0.0)",
            "acc = tl.zeros([BLOCK_C], tl.float32)",
            "beginning of a long run dropped",
        ),
        Mutant(
            _EMBEDDING,
            "goes_on = tl.sum(mine.to(tl.int32), 0) == CHUNKS_AT_ONCE",
            "goes_on = tl.sum(mine.to(tl.int32), 0) > CHUNKS_AT_ONCE",
            "a long run cut off",
        ),
        Mutant(
            _EMBEDDING,
            "goes_on & ((begin == 0) | (began_before == 0))",
            "goes_on & (begin == 0)",
            "long runs joined in the first chunk alone",
        ),
        Mutant(
            _EMBEDDING,
            "grad_positions = table_gradient(positions, rows, position_table)",
            "grad_positions = table_gradient(positions.flip(0), rows, position_table)",
            "gradients of other positions",
        ),
    ),
)

GROUPS = (NORM, EMBEDDING_NORM)
