"""How many bytes each head may take of those that a page has for weights.

Equal parts would waste most of them: a head with a few large weights takes a tenth of what a blurred one
does. Parts are such that no weight of any head is further off than need be.

Shapes: N heads, S numbers of levels that a head can be quantised to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_FEWEST = (7, 3, 1)


def shares(sizes: Numbers, largest: Numbers, levels: Numbers, budget: float) -> Numbers:
    """What each head takes, (N,), if all are quantised to the same error, as small as the budget allows.

    A head's error is about its largest weight by its levels. No head has fewer than seven levels if that can
    be, so that a head of small weights, whose error would be small with one, is still a picture.

    Args:
        sizes: (N, S) about how many bytes each head takes at each of the levels.
        largest: (N,) the largest weight of each head.
        levels: (S,) from the most to the fewest.
        budget: the most bytes for all heads. Where it is too small for one level, that is what is returned.
    """
    errors = largest[:, None] / levels
    for fewest in _FEWEST:
        enough = int((levels >= fewest).sum())
        if sizes[:, enough - 1].sum() <= budget:
            break
    errors, sizes = errors[:, :enough], sizes[:, :enough]

    def taken(error: float) -> Numbers:
        """Sizes at the fewest levels whose error is not larger; at the most levels if there are none."""
        place = np.maximum((errors <= error).sum(axis=1) - 1, 0)
        found: Numbers = np.take_along_axis(sizes, place[:, None], axis=1)[:, 0]
        return found

    steps = np.unique(errors)
    low, high = 0, len(steps) - 1  # the smallest error that fits lies between these
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if taken(steps[middle]).sum() <= budget else (middle + 1, high)
    return taken(steps[high])
