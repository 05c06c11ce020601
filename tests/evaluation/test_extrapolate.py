"""Curves whose longer runs are known: the forecast finds them, and its interval is as sure as it says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from xformer.evaluation.extrapolate import LEAST_POINTS, Curve, Gain

Law = tuple[float, float, float, float]
"""c, a, b, d."""


def value(law: Law, x: NDArray[np.float64], annealed: NDArray[np.float64]) -> NDArray[np.float64]:
    c, a, b, d = law
    found: NDArray[np.float64] = c + a * x**-b - d * annealed
    return found


def forecast(law: Law, points: int, noise: float, rng: np.random.Generator) -> tuple[float, Gain]:
    """The true ratio of a run of twice the length, and the forecast; the rate falls in the second half."""
    x = np.linspace(0.02, 1, points)
    annealed = np.clip(2 * x - 1, 0, 1)
    noisy = value(law, x, annealed) * (1 + noise * rng.standard_normal(points))
    now, then = value(law, np.array([1.0, 2.0]), np.ones(2))
    return float(then / now), Curve(37 * x, noisy, annealed).gain(2)


@pytest.mark.parametrize("law", [(2, 1, 0.3, 0.4), (1, 2, 0.6, 0.5), (4, 0.5, 1, 0.3), (0, 4, 0.2, 0.0)])
def test_a_curve_without_noise_is_continued_exactly(law: Law) -> None:
    true, found = forecast(law, 12, 0.0, np.random.default_rng(0))
    assert found.ratio == pytest.approx(true, abs=2e-3)
    assert found.low <= found.ratio <= found.high
    assert found.high - found.low < 0.005


@pytest.mark.slow
def test_eight_of_ten_intervals_hold_the_truth() -> None:
    rng, held = np.random.default_rng(1), []
    for law in ((2, 1, 0.3, 0.4), (1, 2, 0.6, 0.5), (4, 0.5, 1, 0.3)):
        for _ in range(25):
            true, found = forecast(law, 20, 0.01, rng)
            held.append(found.low <= true <= found.high)
    # 80% of 75, and three standard deviations of a binomial.
    assert 0.8 - 0.14 <= np.mean(held) <= 0.8 + 0.14


def test_more_noise_and_fewer_points_are_less_certain() -> None:
    rng = np.random.default_rng(2)

    def width(points: int, noise: float) -> float:
        found = [forecast((2, 1, 0.3, 0.4), points, noise, rng)[1] for _ in range(2)]
        return float(np.mean([one.high - one.low for one in found]))

    assert width(40, 0.001) < width(40, 0.02)
    assert width(40, 0.01) < width(7, 0.01)


def test_a_curve_that_has_ended_gains_nothing() -> None:
    found = Curve(range(1, 11), [3.0] * 10).gain(2)
    assert found.ratio == pytest.approx(1, abs=1e-3)
    assert found.high == pytest.approx(1, abs=1e-3)


def test_what_the_falling_rate_gains_is_not_continued() -> None:
    """All that falls is due to the learning rate, so twice the length gives nothing."""
    x = np.linspace(0.05, 1, 20)
    annealed = np.clip(2 * x - 1, 0, 1)
    curve = 3 - 0.5 * annealed
    assert Curve(x, curve, annealed).gain(2).ratio == pytest.approx(1, abs=1e-3)
    assert Curve(x, curve).gain(2).ratio < 0.97


@pytest.mark.parametrize(
    ("x", "y"),
    [(range(1, LEAST_POINTS), [1.0] * (LEAST_POINTS - 1)), (range(7), [1.0] * 7), (range(1, 8), [0.0] * 7)],
)
def test_too_little_is_refused(x: range, y: list[float]) -> None:
    with pytest.raises(ValueError, match="curve: expected"):
        Curve(x, y)
