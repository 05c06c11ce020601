"""Margins of candidate pairs: how much nearer two texts are to each other than to their other neighbours.

Artetxe and Schwenk (2019), "Margin-based Parallel Corpus Mining with Multilingual Sentence Embeddings",
section 3.2: for x of one side and y of the other,

    score(x, y) = margin( cos(x, y), Σ_{z in NN_k(x)} cos(x, z) / 2k + Σ_{z in NN_k(y)} cos(y, z) / 2k )

with margin(a, b) = a / b (ratio, LASER's choice), a - b (distance), or a (absolute). NN_k(x) are the k
nearest texts of the other side. So a text that is near to everything gains nothing by it.

Shapes: A and B texts of the two sides, K neighbours of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xformer.embedding.search.best import Best
from xformer.embedding.search.coded import Coded
from xformer.embedding.search.scan import Tell, scan

MarginKind = Literal["ratio", "distance", "absolute"]


@dataclass(frozen=True)
class Candidates:
    """The nearest texts of each text on the other side, with their margins.

    Attributes:
        ids: (A, K) rows of the other side, nearest first.
        cosines: (A, K) float32.
        margins: (A, K) float64.
    """

    ids: NDArray[np.int64]
    cosines: NDArray[np.float32]
    margins: NDArray[np.float64]


def neighbours_both_ways(a: Coded, b: Coded, k: int, tell: Tell | None = None) -> tuple[Best, Best]:
    """The `k` nearest of the other side, for each of `a` and for each of `b`; each product is computed once.

    Args:
        a: unit vectors of A texts.
        b: unit vectors of B texts.
        k: at least 1; all of a side that has fewer texts.
        tell: shows progress, in products.

    Raises:
        ValueError: `k` is below 1, or the widths differ.
    """
    if k < 1:
        raise ValueError(f"k: expected a whole number from 1, got {k}")
    if a.vectors.shape[1] != b.vectors.shape[1]:
        widths = f"{a.vectors.shape[1]} and {b.vectors.shape[1]}"
        raise ValueError(f"mine: expected vectors of one width, got {widths} numbers")
    forward, backward = Best(len(a), min(k, len(b))), Best(len(b), min(k, len(a)))
    if len(a) and len(b):
        scan(a, b, forward, backward, tell=tell)
    return forward, backward


def with_margins(forward: Best, backward: Best, kind: MarginKind = "ratio") -> tuple[Candidates, Candidates]:
    """The margins of all candidates of both sides.

    A ratio is defined where the mean it divides by is positive; elsewhere the margin is -inf.
    """
    mean_a, mean_b = (best.scores.mean(axis=1, dtype=np.float64) for best in (forward, backward))
    sides = ((forward, mean_a, mean_b), (backward, mean_b, mean_a))
    return tuple(_candidates(best, own, other, kind) for best, own, other in sides)  # type: ignore[return-value]


def _candidates(
    best: Best, own: NDArray[np.float64], other: NDArray[np.float64], kind: MarginKind
) -> Candidates:
    cosines = best.scores.astype(np.float64)
    mean = (own[:, None] + other[best.ids]) / 2
    if kind == "absolute":
        margins = cosines
    elif kind == "distance":
        margins = cosines - mean
    else:
        margins = np.full_like(cosines, -np.inf)
        np.divide(cosines, mean, out=margins, where=mean > 0)
    return Candidates(best.ids, best.scores, margins)
