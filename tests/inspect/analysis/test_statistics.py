"""Means with intervals and rank correlation against SciPy's definitions, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.inspect.analysis.statistics import mean_over_texts, rank_correlation, ranks


def test_a_mean_and_its_interval_by_hand() -> None:
    # 1, 2, 3, 6: mean 3; squared distances 4 + 1 + 0 + 9 = 14; s² = 14/3; s/√4 = √(14/12) = 1.080123.
    found = mean_over_texts([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [6.0, 0.0]])
    assert found.n == 4
    np.testing.assert_allclose(found.value, [3, 0])
    np.testing.assert_allclose(found.high - found.value, [1.959964 * 1.0801234, 0], rtol=1e-6)
    np.testing.assert_allclose(found.value - found.low, found.high - found.value)


def test_no_interval_of_one_text_and_no_mean_of_none() -> None:
    one, none = mean_over_texts([[2.0, 4.0]]), mean_over_texts(np.zeros((0, 2)))
    assert one.value.tolist() == [2, 4]
    assert np.isnan(one.low).all()
    assert np.isnan(one.high).all()
    assert none.n == 0
    assert np.isnan(none.value).all()


def test_ranks_are_shared_by_equal_values() -> None:
    assert ranks([10, 30, 20, 20]).tolist() == [1, 4, 2.5, 2.5]
    assert ranks([5, 5, 5]).tolist() == [2, 2, 2]


def test_rank_correlation_by_hand() -> None:
    # Without ties ρ = 1 − 6 Σ d² / (N (N² − 1)); d = 1, 1, 1, 1, 0 here, so 1 − 24/120.
    assert rank_correlation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(0.8)
    # With ties: ranks (1, 2.5, 2.5, 4) and (1, 2, 3, 4), centred: products 2.25 + 0 + 0 + 2.25 = 4.5;
    # squares 4.5 and 5; 4.5 / √22.5.
    assert rank_correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(22.5))
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))
    assert math.isnan(rank_correlation([1], [1]))
    assert math.isnan(rank_correlation([1, math.nan], [1, 2]))
    with pytest.raises(ValueError, match="as many values"):
        rank_correlation([1, 2], [1, 2, 3])


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=9), st.data())
def test_rank_correlation_knows_the_order_alone(values: list[int], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.integers(-5, 5), min_size=len(values), max_size=len(values)))
    found = rank_correlation(values, others)
    np.testing.assert_allclose(rank_correlation(others, values), found)
    np.testing.assert_allclose(rank_correlation([math.exp(v) for v in values], others), found)
    np.testing.assert_allclose(rank_correlation([-v for v in values], others), -found)
    # The definition by pairs of means: Pearson's correlation of the ranks.
    if not math.isnan(found):
        expected = np.corrcoef(ranks(values), ranks(others))[0, 1]
        assert found == pytest.approx(expected, abs=1e-12)
