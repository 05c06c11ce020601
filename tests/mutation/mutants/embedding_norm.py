"""Ways to break the embedding with a norm, and the gradient of its tables."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_EMBEDDING = "kernels/embedding_norm/triton.py"
_TESTS = (
    "tests/kernels/test_embedding_norm.py::test_runs_of_a_token",
    "tests/kernels/test_embedding_norm.py",
)
_COLUMNS = "tl.arange(0, BLOCK_C)\n    inside = columns < C\n    begin = chunk * CHUNK"

EMBEDDING_NORM = Group(
    "embedding_norm",
    _TESTS,
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
            "grad_positions = table_gradient(positions, rows, position_table)",
            "grad_positions = table_gradient(positions.flip(0), rows, position_table)",
            "gradients of other positions",
        ),
        Mutant(
            _EMBEDDING,
            "value = value.to(table.dtype.element_ty).to(tl.float32)",
            "value = value + 0.0",
            "the sum normalised before it is rounded",
        ),
        Mutant(_EMBEDDING, "((which >= 0) &", "((which > 0) &", "first row of a table unknown"),
        Mutant(
            _EMBEDDING,
            'mask=inside & known, other=float("nan"))',
            "mask=inside & known, other=0.0)",
            "an unknown token is 0",
        ),
        Mutant(
            _EMBEDDING,
            "return tl.where(inside, value, 0.0)",
            "return value",
            "what is outside the matrix is NaN",
        ),
        Mutant(
            _EMBEDDING,
            "columns, rows, n_rows, n_positions, C)",
            "columns, rows, n_rows, n_tokens, C)",
            "as many positions as tokens",
        ),
        Mutant(
            _EMBEDDING,
            "share_b += slope",
            "share_b = slope * 1.0",
            "bias' gradient of the last tile",
        ),
        Mutant(
            _EMBEDDING,
            "tl.store(at + step * C, tl.sum(share_b, 0)",
            "tl.store(at, tl.sum(share_b, 0)",
            "bias' share stored for the weight",
        ),
    ),
)

ADD_RUNS = Group(
    "embedding_add_runs",
    _TESTS,
    (
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
            "is_head = (begin > 0) & (before == token)",
            "is_head = (begin > 0)",
            "every chunk goes on with a run",
        ),
        Mutant(
            _EMBEDDING,
            "row = tl.load(order + i).to(tl.int64)",
            "row = tl.load(order + i).to(tl.int64) * 0 + i",
            "rows as they come, not as sorted",
        ),
        Mutant(
            _EMBEDDING,
            "acc += tl.load(rows + row * C",
            "acc = tl.load(rows + row * C",
            "only the last row of a run",
        ),
        Mutant(
            _EMBEDDING,
            "if (i + 1 == end) | (goes_on == 0):",
            "if goes_on == 0:",
            "no share left at a chunk's end",
        ),
        Mutant(
            _EMBEDDING, "elif goes_on:", "elif goes_on == 2:", "a long run's beginning stored as if whole"
        ),
        Mutant(
            _EMBEDDING,
            "elif (token >= 0) & (token < n_known):",
            "elif (token > 0) & (token < n_known):",
            "first row of a table left out",
        ),
        Mutant(
            _EMBEDDING,
            "elif (token >= 0) & (token < n_known):",
            "elif (token >= 0) & (token < n_known - 1):",
            "last row of a table left out",
        ),
        Mutant(
            _EMBEDDING,
            f"tl.program_id(1) * BLOCK_C + {_COLUMNS}\n    end",
            f"{_COLUMNS}\n    end",
            "first columns of a wide table alone",
        ),
    ),
)

JOIN_RUNS = Group(
    "embedding_join_runs",
    _TESTS,
    (
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
        Mutant(_EMBEDDING, "after = chunk + 1", "after = chunk + 2", "a run's second share left out"),
        Mutant(
            _EMBEDDING,
            "exist = those * CHUNK < n",
            "exist = those * CHUNK < n - CHUNK",
            "share of the last chunk left out",
        ),
        Mutant(_EMBEDDING, "after += CHUNKS_AT_ONCE", "after += 1", "shares added twice"),
        Mutant(_EMBEDDING, "acc += tl.sum(tl.load(at", "acc = tl.sum(tl.load(at", "only the last shares"),
        Mutant(
            _EMBEDDING,
            "mask=mine[:, None] & inside[None, :]",
            "mask=exist[:, None] & inside[None, :]",
            "shares of other runs",
        ),
        Mutant(
            _EMBEDDING,
            "if goes_on & ((begin == 0) | (began_before == 0)):",
            "if goes_on:",
            "a run joined from each of its chunks",
        ),
        Mutant(
            _EMBEDDING,
            "token = tl.load(ordered + begin + CHUNK - 1)",
            "token = tl.load(ordered + begin)",
            "a chunk's first token instead of its last",
        ),
        Mutant(
            _EMBEDDING,
            "        if (token >= 0) & (token < n_known):",
            "        if (token > 0) & (token < n_known):",
            "first row of a table left out",
        ),
        Mutant(
            _EMBEDDING,
            "        if (token >= 0) & (token < n_known):",
            "        if (token >= 0) & (token < n_known - 1):",
            "last row of a table left out",
        ),
        Mutant(
            _EMBEDDING,
            f"tl.program_id(1) * BLOCK_C + {_COLUMNS}\n    token",
            f"{_COLUMNS}\n    token",
            "first columns of a wide table alone",
        ),
    ),
)

GROUPS = (EMBEDDING_NORM, ADD_RUNS, JOIN_RUNS)
