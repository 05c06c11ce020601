"""A run's curve continued: a power law is fitted to it, and gives what a longer run would reach.

    y(x) = c + a·x^-b - d·annealed(x),   a, b, c, d ≥ 0

x is the training so far, weighted by the learning rate; `annealed` is the share by which the rate has
fallen (the form of Tissue et al. 2024, with the annealed area at its limit). A run of k times the length has
the same schedule, stretched: at its end x is k times as large, and `annealed` is the same. So the gain of a
longer run, a·x^-b·(1 - k^-b), is that of the power law alone.

The uncertainty is the profile likelihood's: all gains for which some curve fits almost as well as the best
one (Bates and Watts 1988). It knows of noise and of exponents that cannot be told apart, and not of what the
curve has not met yet, such as text that is read too often.

Shapes: N points, P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

LEAST_POINTS = 6
"""With fewer points nothing is said."""

_EXPONENTS = (0.03, 3.0)
_AT_ONCE, _ENOUGH, _ROUNDS = 24, 8, 6
_SUBSETS = ((0,), (1,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
_ROUNDING = 1e-5
_NORMAL = 1.2816
"""Quantile of the normal distribution: 80% lie within."""


@dataclass(frozen=True)
class Gain:
    """What the value at the end is multiplied by in a longer run; below 1, it falls.

    Attributes:
        ratio: most likely.
        low: lower end of the interval of 80%.
        high: its upper end.
    """

    ratio: float
    low: float
    high: float


class Curve:
    """The points of a curve that falls, and all power laws that fit them."""

    def __init__(
        self,
        x: Sequence[float] | Numbers,
        y: Sequence[float] | Numbers,
        annealed: Sequence[float] | Numbers | None = None,
    ) -> None:
        """Fit the power laws.

        Args:
            x: (N,) positive: training so far, ascending.
            y: (N,) positive: a loss or an error.
            annealed: (N,) from 0 to 1; None for a constant learning rate.

        Raises:
            ValueError: there are fewer than `LEAST_POINTS`, the lengths differ, or a number is not positive.
        """
        share = np.asarray(x, dtype=np.float64)
        self._y = np.asarray(y, dtype=np.float64)
        fallen = np.zeros(len(share)) if annealed is None else np.asarray(annealed, dtype=np.float64)
        if not len(share) == len(self._y) == len(fallen) or len(share) < LEAST_POINTS:
            raise ValueError(f"curve: expected {LEAST_POINTS} points or more, got {len(share)}")
        if not (
            np.isfinite(share).all() and np.isfinite(self._y).all() and min(share.min(), self._y.min()) > 0
        ):
            raise ValueError("curve: expected positive numbers")
        self._x, self._fallen = share / share[-1], fallen
        lowest, highest = _EXPONENTS
        # Fit exponents, then more of them between those that fit, until these are many.
        self._fits: list[_Fit] = []
        for _ in range(_ROUNDS):
            exponents = np.geomspace(lowest, highest, _AT_ONCE)
            self._fits += [self._fit(float(b)) for b in exponents]
            self._fits.sort(key=lambda fit: fit.exponent)
            self._best = min(self._fits, key=lambda fit: fit.squares)
            good = [place for place, fit in enumerate(self._fits) if fit.squares <= self._limit]
            if len(good) >= _ENOUGH:
                break
            lowest = self._fits[max(good[0] - 1, 0)].exponent
            highest = self._fits[min(good[-1] + 1, len(self._fits) - 1)].exponent

    def gain(self, times: float) -> Gain:
        """What the last value is multiplied by in a run of `times` the length."""
        end = self._best.end
        low = high = likely = self._best.change(times)
        for fit in self._fits:
            if fit.squares <= self._limit:
                reach = fit.spread(times) * math.sqrt(self._limit - fit.squares)
                low, high = min(low, fit.change(times) - reach), max(high, fit.change(times) + reach)
        return Gain(1 + likely / end, max(0.0, 1 + low / end), min(1.0, 1 + high / end))

    @property
    def _limit(self) -> float:
        """The largest sum of squares of a curve that fits."""
        free = max(1, len(self._y) - 1 - self._best.parameters)
        # Of a curve without noise, the rounding of the log's numbers is the noise.
        noise = max(self._best.squares / free, _ROUNDING**2)
        return self._best.squares + noise * _student(free) ** 2

    def _fit(self, exponent: float) -> _Fit:
        """Least squares of relative errors, without negative parameters, by trying which of them are zero."""
        columns = np.column_stack([np.ones_like(self._x), self._x**-exponent, -self._fallen])
        best: _Fit | None = None
        for kept in _SUBSETS:
            used = columns[:, kept] / self._y[:, None]
            found, _, rank, _ = np.linalg.lstsq(used, np.ones_like(self._y), rcond=1e-10)
            if rank < len(kept) or (found < 0).any():
                continue
            residuals = 1 - used @ found
            squares = float(residuals @ residuals)
            if best is None or squares < best.squares:
                slope, variance = 0.0, 0.0
                if 1 in kept:
                    place = kept.index(1)
                    slope = float(found[place])
                    variance = float(np.linalg.inv(used.T @ used)[place, place])
                best = _Fit(exponent, squares, slope, variance, float(columns[-1, kept] @ found), len(kept))
        assert best is not None  # y is positive, so the constant alone fits
        return best


@dataclass(frozen=True)
class _Fit:
    """The best curve of one exponent.

    Attributes:
        exponent: b.
        squares: sum of squared relative residuals.
        slope: a, for an x that is 1 at the last point.
        variance: of a, for a relative noise of variance 1.
        end: fitted value at the last point.
        parameters: how many linear parameters are not zero.
    """

    exponent: float
    squares: float
    slope: float
    variance: float
    end: float
    parameters: int

    def change(self, times: float) -> float:
        """By how much the last value changes in a run of `times` the length."""
        return self.slope * (times**-self.exponent - 1)

    def spread(self, times: float) -> float:
        """Standard deviation of `change`, for a relative noise of variance 1."""
        return math.sqrt(self.variance) * (1 - times**-self.exponent)


def _student(free: int) -> float:
    """Quantile of Student's t at 80% within, by the expansion of Cornish and Fisher."""
    z = _NORMAL
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
