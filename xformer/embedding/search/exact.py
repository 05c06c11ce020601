"""Exact search over vectors: the K largest products of each query.

Shapes: Q queries, N vectors, D vector width, K results of each query.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.embedding.search.best import Best
from xformer.embedding.search.coded import Coded
from xformer.embedding.search.codes import Vectors
from xformer.embedding.search.scan import Tell, scan


@dataclass(frozen=True)
class Found:
    """The best vectors of each query, best first; of equal scores the smallest row comes first.

    Attributes:
        rows: (Q, K) rows of the vectors.
        scores: (Q, K) their products with the query: computed in float64, rounded to float32.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


def search(queries: Vectors, parts: Iterable[Coded], k: int, tell: Tell | None = None) -> Found:
    """The `k` vectors with the largest products with each query; all of them where there are fewer.

    The result does not depend on how the vectors are divided into parts, on threads, or on `k`.

    Args:
        queries: (Q, D).
        parts: the vectors, in the order of their rows.
        k: at least 1.
        tell: shows progress.

    Raises:
        ValueError: `k` is below 1, a width differs, or a query is not finite.
    """
    if k < 1:
        raise ValueError(f"k: expected a whole number from 1, got {k}")
    parts = list(parts)
    for part in parts:
        if queries.ndim != 2 or part.vectors.shape[1] != queries.shape[1]:
            raise ValueError(
                f"queries: expected vectors of {part.vectors.shape[1]} numbers, got shape {queries.shape}"
            )
    total = sum(map(len, parts))
    best, first = Best(len(queries), min(k, total)), 0
    for part in parts:
        if len(queries) and len(part):
            chosen = part.for_queries(len(queries))
            scan(Coded.of(queries, chosen.codes.query_dtype), chosen, best, first_id=first, tell=tell)
        first += len(part)
    return Found(best.ids, best.scores)
