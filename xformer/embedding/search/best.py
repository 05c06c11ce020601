"""The k best of what has been seen so far, for many rows at once.

Shapes: R rows, K best of each, H hits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NONE = np.iinfo(np.int64).max
"""The id of a place that is still empty."""


class Best:
    """The K largest scores of each row, largest first; of equal ones the smallest id comes first.

    Attributes:
        scores: (R, K) float32; -inf where fewer than K have been seen.
        ids: (R, K) int64 what has the score; meaningless where the score is -inf.
    """

    def __init__(self, rows: int, k: int) -> None:
        self.scores = np.full((rows, k), -np.inf, dtype=np.float32)
        self.ids = np.full((rows, k), _NONE, dtype=np.int64)

    @property
    def k(self) -> int:
        """K."""
        return self.scores.shape[1]

    def worst(self, rows: slice = slice(None)) -> NDArray[np.float32]:
        """The smallest score of each row that is among its best: none below it can become one."""
        return self.scores[rows, -1]

    def merge(self, rows: NDArray[np.int64], ids: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Take hits in.

        Args:
            rows: (H,) the row of each; in any order, a row as often as it has hits.
            ids: (H,) each row's are new to it.
            scores: (H,)
        """
        last = self.scores[rows, -1]
        better = (scores > last) | ((scores == last) & (ids < self.ids[rows, -1]))
        if not better.any():
            return
        rows, ids, scores = rows[better], ids[better], scores[better]
        changed, place = np.unique(rows, return_inverse=True)
        k = self.scores.shape[1]
        place = np.concatenate([place, np.repeat(np.arange(len(changed)), k)])
        scores = np.concatenate([scores, self.scores[changed].ravel()])
        ids = np.concatenate([ids, self.ids[changed].ravel()])
        order = np.lexsort((ids, -scores, place))
        place = place[order]
        begins = np.searchsorted(place, np.arange(len(changed)))
        rank = np.arange(len(place)) - begins[place]
        kept = rank < k
        order = order[kept]
        self.scores[changed[place[kept]], rank[kept]] = scores[order]
        self.ids[changed[place[kept]], rank[kept]] = ids[order]
