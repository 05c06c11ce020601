import numpy as np
import pytest

from xformer.evaluation.outside.bootstrap import interval, ratio_interval


def test_it_covers_the_true_mean_about_as_often_as_it_says(rng: np.random.Generator) -> None:
    covered = 0
    for _ in range(200):
        low, high = interval((rng.random(200) < 0.3).astype(float), resamples=300) or (0.0, 0.0)
        covered += low <= 0.3 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_of_many_values_it_is_the_normal_one(rng: np.random.Generator) -> None:
    values = (rng.random(4000) < 0.5).astype(float)
    low, high = interval(values) or (0.0, 0.0)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.003)


def test_the_same_draws_are_made_again_and_equal_values_have_no_width() -> None:
    values = np.arange(7.0)
    assert interval(values, seed=3) == interval(values, seed=3) != interval(values, seed=4)
    # Paired: adding a constant to every value moves the interval by just that.
    low, high = interval(values) or (0.0, 0.0)
    assert interval(values + 5) == pytest.approx((low + 5, high + 5))
    assert interval(np.full(9, 0.25)) == pytest.approx((0.25, 0.25))
    assert interval(np.array([0.5])) is None
    assert interval(np.array([])) is None


def test_a_ratio_of_equal_parts_is_certain_and_that_of_one_is_a_mean() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 50)
    assert ratio_interval(2 * values, values) == pytest.approx((2, 2))
    assert ratio_interval(values, np.ones(50)) == pytest.approx(interval(values))


def test_resamples_without_what_is_divided_by_do_not_count() -> None:
    below = np.array([1.0, 0.0, 0.0])
    assert ratio_interval(np.array([1.0, 0.0, 0.0]), below) == (1, 1)
    assert ratio_interval(np.zeros(3), np.zeros(3)) is None
    assert ratio_interval(np.ones(1), np.ones(1)) is None


def test_the_interval_of_a_ratio_is_about_that_of_its_definition() -> None:
    """Against drawing rows one by one."""
    rng = np.random.default_rng(1)
    above, below = rng.integers(0, 2, 80).astype(float), rng.integers(1, 3, 80).astype(float)
    draws = rng.integers(0, 80, (4_000, 80))
    expected = np.quantile(above[draws].sum(1) / below[draws].sum(1), [0.025, 0.975])
    assert ratio_interval(above, below) == pytest.approx(tuple(expected), abs=0.02)
