"""Exact nearest neighbours by cosine, in bounded memory.

Shapes: Q queries, K candidates, D vector width, N neighbours of each query.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_QUERIES_AT_ONCE = 256
_CANDIDATES_AT_ONCE = 8192

# A cosine in steps of 2⁻²⁴, which is float32's precision just below 1, and the row below it: one whole number
# holds both, so that the largest numbers are the nearest candidates and equal cosines are in order of rows.
_STEPS = 1 << 24
_ROWS = 1 << 38


@dataclass(frozen=True)
class Neighbours:
    """The nearest candidates of each query, nearest first; of equal ones the first comes first.

    Attributes:
        rows: (Q, N) row of each neighbour among the candidates.
        cosines: (Q, N) float64, rounded to 2⁻²⁴.
    """

    rows: NDArray[np.int64]
    cosines: NDArray[np.float64]


def nearest_neighbours(queries: NDArray[np.floating], candidates: NDArray[np.floating], k: int) -> Neighbours:
    """Compare every query with every candidate, and keep the nearest.

    Vectors of any length are compared by their angles; a vector of zeros has cosine 0 with all others.
    Products are computed in float64, so the result is the same for any `k` and however the queries are
    divided. The candidates may be a memory-mapped array: some thousand rows at a time are read.

    Args:
        queries: (Q, D).
        candidates: (K, D).
        k: neighbours wanted of each query; N is `k`, or K where there are fewer candidates.

    Raises:
        ValueError: `k` is below 1, the widths differ, or a vector is not finite.
    """
    if k < 1:
        raise ValueError(f"k: expected a whole number from 1, got {k}")
    if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1]:
        raise ValueError(
            f"nearest_neighbours: expected matrices of one width, got {queries.shape} and {candidates.shape}"
        )
    if len(candidates) > _ROWS:
        raise ValueError(
            f"nearest_neighbours: expected at most {_ROWS:,} candidates, got {len(candidates):,}"
        )
    best = np.empty((len(queries), min(k, len(candidates))), dtype=np.int64)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        rows = slice(start, start + _QUERIES_AT_ONCE)
        best[rows] = _largest_keys(_unit(queries[rows]), candidates, best.shape[1]).numpy()
    return Neighbours(_ROWS - 1 - best % _ROWS, (best // _ROWS) / _STEPS)


def _largest_keys(queries: Tensor, candidates: NDArray[np.floating], n: int) -> Tensor:
    """The `n` largest keys of each query, in descending order (Q, N)."""
    best = torch.empty(len(queries), 0, dtype=torch.int64)
    for start in range(0, len(candidates), _CANDIDATES_AT_ONCE):
        block = _unit(candidates[start : start + _CANDIDATES_AT_ONCE])
        steps = (queries @ block.T).mul_(_STEPS).round_().long()
        keys = steps.mul_(_ROWS).add_(_ROWS - 1 - torch.arange(start, start + len(block)))
        best = torch.cat([best, keys.topk(min(n, len(block))).values], dim=1)
        best = best.topk(min(n, best.shape[1])).values
    return best


def _unit(vectors: NDArray[np.floating]) -> Tensor:
    """The vectors in float64, each divided by its length."""
    wide = torch.from_numpy(vectors.astype(np.float64))
    if not wide.isfinite().all():
        raise ValueError("nearest_neighbours: expected finite vectors")
    return torch.nn.functional.normalize(wide, dim=1)
