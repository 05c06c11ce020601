"""Tables of numbers, compared with Python's dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from xformer.data.number_table import NumberTable


@pytest.mark.parametrize("count", [0, 1, 7, 5_000])
def test_a_table_finds_what_it_has_and_nothing_else(count: int, rng: np.random.Generator) -> None:
    numbers = np.unique(rng.integers(0, 10**6, count).astype(np.uint64) << np.uint64(40))
    values = rng.permutation(len(numbers)).astype(np.int32)
    table = NumberTable(numbers, values)
    asked = np.concatenate([numbers, np.arange(1_000, dtype=np.uint64) << np.uint64(40)])
    known = dict(zip(numbers.tolist(), values.tolist(), strict=True))
    assert table.find(asked).tolist() == [known.get(number, -1) for number in asked.tolist()]
