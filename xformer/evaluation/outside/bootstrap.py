"""Bootstrap intervals (Efron 1979) of means and of ratios: the percentile method, resamples by a seed.

Shapes: N observations, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.evaluation.outside.report import Amount

RESAMPLES = 2_000
LEVEL = 0.95

_COUNTS_AT_ONCE = 1 << 22

Interval = tuple[float, float]


def interval(values: NDArray[np.float64], seed: int = 0, resamples: int = RESAMPLES) -> Interval | None:
    """The 95% interval of the mean of observations.

    Args:
        values: (N,) observations: of the queries of a language, say, or of the languages of a mean.
        seed: of the resamples. The same seed and N give the same resamples, so that intervals of two models'
            scores on the same texts come from the same draws.
        resamples: R.

    Returns:
        The 2.5th and the 97.5th percentile of the means of the resamples; None of fewer than two values.
    """
    if len(values) < 2:
        return None
    return _percentiles(_resampled_sums(values[:, None], seed, resamples)[:, 0] / len(values))


def ratio_interval(
    above: NDArray[np.float64], below: NDArray[np.float64], seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """The 95% interval of the sum of some observations divided by that of others, such as a precision.

    Args:
        above: (N,) a part of each observation.
        below: (N,) the other part, at least 0. Resamples in which their sum is 0 do not count.
        seed: as in `interval`.
        resamples: R.

    Returns:
        The 2.5th and the 97.5th percentile of the ratios; None of fewer than two observations, or if the sum
        of `below` is 0.
    """
    if len(above) < 2 or not below.any():
        return None
    sums = _resampled_sums(np.stack([above, below], axis=1), seed, resamples)
    sums = sums[sums[:, 1] > 0]
    return _percentiles(sums[:, 0] / sums[:, 1])


def _resampled_sums(values: NDArray[np.float64], seed: int, resamples: int) -> NDArray[np.float64]:
    """The sums of the columns of (N, C) over each resample of the rows, (R, C)."""
    size = len(values)
    rng, sums = np.random.default_rng((seed, size)), np.empty((resamples, values.shape[1]))
    rows = max(1, _COUNTS_AT_ONCE // size)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        # How often each value is drawn: the sum of the draws is then a product.
        counts = rng.multinomial(size, np.full(size, 1 / size), size=stop - start)
        sums[start:stop] = counts @ values
    return sums


def _percentiles(found: NDArray[np.float64]) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def amount(values: Sequence[float], seed: int) -> Amount:
    """The mean of the values of some languages, with its interval over them."""
    low, high = interval(np.array(values), seed) or (None, None)
    return Amount(float(np.mean(values)), low, high)
