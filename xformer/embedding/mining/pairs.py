"""Pairs from candidates: forward, backward, their intersection, or the better of both (LASER's `max`).

Shapes: A and B texts of the two sides, K candidates of each, P pairs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xformer.embedding.mining.margin import Candidates

Retrieval = Literal["forward", "backward", "intersection", "max"]


@dataclass(frozen=True)
class Pairs:
    """Pairs, best first: by margin, then by the row in `a`, then by that in `b`.

    Attributes:
        a: (P,) rows of the first side.
        b: (P,) rows of the second.
        margins: (P,) float64.
        cosines: (P,) float32.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    margins: NDArray[np.float64]
    cosines: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.a)

    def where(self, kept: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Pairs:
        """Some of the pairs, by a mask, places or a slice."""
        return Pairs(self.a[kept], self.b[kept], self.margins[kept], self.cosines[kept])

    def without(self, rows: Collection[int]) -> Pairs:
        """The pairs that have none of some rows of the first side."""
        return self.where(~np.isin(self.a, np.fromiter(rows, dtype=np.int64, count=len(rows))))

    def from_margin(self, threshold: float) -> Pairs:
        """The pairs whose margin is at least `threshold`."""
        return self.where(self.margins >= threshold)


def choose(
    forward: Candidates, backward: Candidates, retrieval: Retrieval = "max", *, one_to_one: bool = True
) -> Pairs:
    """Choose pairs among candidates.

    Args:
        forward: of each text of `a`, in `b`.
        backward: of each text of `b`, in `a`.
        retrieval: `forward`: each text of `a` with its candidate of the largest margin; `backward`: each of
            `b`; `intersection`: those that are both; `max`: all that are either.
        one_to_one: go through the pairs, best first, and leave out each with a text that is in a pair
            already. Without it a text may be in several pairs.
    """
    ahead, behind = _best(forward), _swapped(_best(backward))
    if retrieval == "forward":
        found = ahead
    elif retrieval == "backward":
        found = behind
    else:
        width = max(1, len(backward.ids))
        first, second = ahead.a * width + ahead.b, behind.a * width + behind.b
        if retrieval == "intersection":
            found = ahead.where(np.isin(first, second))
        else:
            more = behind.where(~np.isin(second, first))
            found = Pairs(
                *(
                    np.concatenate([getattr(ahead, name), getattr(more, name)])
                    for name in ("a", "b", "margins", "cosines")
                )
            )
    found = found.where(np.lexsort((found.b, found.a, -found.margins)))
    found = found.where(np.isfinite(found.margins))
    return _one_to_one(found, len(forward.ids), len(backward.ids)) if one_to_one else found


def _best(candidates: Candidates) -> Pairs:
    """Each text with its candidate of the largest margin; of equal ones the first."""
    if not candidates.ids.size:
        none = np.empty(0, dtype=np.int64)
        return Pairs(none, none, np.empty(0), np.empty(0, dtype=np.float32))
    rows = np.arange(len(candidates.ids))
    # Of equal margins that of the nearest, as candidates are in that order.
    place = candidates.margins.argmax(axis=1)
    return Pairs(
        rows, candidates.ids[rows, place], candidates.margins[rows, place], candidates.cosines[rows, place]
    )


def _swapped(pairs: Pairs) -> Pairs:
    return Pairs(pairs.b, pairs.a, pairs.margins, pairs.cosines)


def _one_to_one(pairs: Pairs, n_a: int, n_b: int) -> Pairs:
    free_a, free_b = np.ones(n_a, dtype=bool).tolist(), np.ones(n_b, dtype=bool).tolist()
    kept = np.zeros(len(pairs), dtype=bool)
    for place, (a, b) in enumerate(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)):
        if free_a[a] and free_b[b]:
            free_a[a] = free_b[b] = False
            kept[place] = True
    return pairs.where(kept)
