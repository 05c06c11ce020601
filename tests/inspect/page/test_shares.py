"""Parts of a budget: against a search over all errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.inspect.page.shares import shares

LEVELS = np.array([255.0, 31, 7, 3, 1])


def test_what_fits_is_as_fine_as_can_be() -> None:
    sizes = np.array([[50.0, 30, 20, 10, 5], [500, 300, 200, 100, 50]])
    assert shares(sizes, np.array([1.0, 0.1]), LEVELS, 1000).tolist() == [50, 500]


def test_large_weights_come_first() -> None:
    sizes = np.array([[50.0, 30, 20, 10, 5], [500, 300, 200, 100, 50]])
    # Errors of the first head: 1/255, 1/31, 1/7; of the second 0.01/255, 0.01/31, 0.01/7 = 1/700.
    assert shares(sizes, np.array([1.0, 0.01]), LEVELS, 260).tolist() == [50, 200]
    assert shares(sizes, np.array([0.01, 1.0]), LEVELS, 330).tolist() == [20, 300]


@pytest.mark.parametrize(("budget", "expected"), [(110, [10, 100]), (60, [5, 50]), (1, [5, 50])])
def test_a_small_budget_takes_fewer_levels(budget: float, expected: list[float]) -> None:
    sizes = np.array([[50.0, 30, 20, 10, 5], [500, 300, 200, 100, 50]])
    assert shares(sizes, np.ones(2), LEVELS, budget).tolist() == expected


@given(st.integers(1, 6), st.integers(0, 999), st.floats(0.1, 1.2))
def test_no_smaller_common_error_fits(heads: int, seed: int, part: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = np.sort(rng.uniform(1, 100, (heads, len(LEVELS))), axis=1)[:, ::-1].copy()
    largest = rng.uniform(0.001, 1, heads)
    budget = part * sizes[:, 0].sum()
    found = shares(sizes, largest, LEVELS, budget)
    enough = [k for k in (3, 4, 5) if sizes[:, k - 1].sum() <= budget]
    kept = enough[0] if enough else 5
    errors = largest[:, None] / LEVELS[:kept]

    def at(error: float) -> list[float]:
        fits = [[k for k in range(kept) if errors[h, k] <= error] or [0] for h in range(heads)]
        return [float(sizes[h, places[-1]]) for h, places in enumerate(fits)]

    fitting = [error for error in np.unique(errors) if sum(at(error)) <= budget]
    assert found.tolist() == at(min(fitting) if fitting else errors.max())
