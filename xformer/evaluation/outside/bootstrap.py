"""Bootstrap intervals of means (Efron 1979): the percentile method, with resamples that a seed decides.

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
    size = len(values)
    rng, means = np.random.default_rng((seed, size)), np.empty(resamples)
    rows = max(1, _COUNTS_AT_ONCE // size)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        # How often each value is drawn: the sum of the draws is then a product.
        counts = rng.multinomial(size, np.full(size, 1 / size), size=stop - start)
        means[start:stop] = counts @ values / size
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def amount(values: Sequence[float], seed: int) -> Amount:
    """The mean of the values of some languages, with its interval over them."""
    low, high = interval(np.array(values), seed) or (None, None)
    return Amount(float(np.mean(values)), low, high)
