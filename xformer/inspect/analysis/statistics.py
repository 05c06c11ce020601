"""Means over texts with their intervals, and rank correlation.

Shapes: N texts, or values to be ranked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xformer.errors import InputError

Numbers = NDArray[np.float64]

_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Mean:
    """A mean over texts and its 95% interval, `mean ± 1.96 s / √N` with s the standard deviation.

    The interval says how far the mean of other texts of the same kind may lie. It takes the texts as drawn
    one by one; translations of one message in the same set would make it too narrow.

    Attributes:
        value: (…) means.
        low: (…) lower end; NaN with fewer than two texts.
        high: (…) upper end; NaN with fewer than two texts.
        n: N, number of texts.
    """

    value: Numbers
    low: Numbers
    high: Numbers
    n: int


def mean_over_texts(values: ArrayLike) -> Mean:
    """The mean over the first axis (N, …), in float64; NaN where there is no text."""
    numbers = np.asarray(values, dtype=np.float64)
    n = len(numbers)
    if n == 0:
        nothing = np.full(numbers.shape[1:], math.nan)
        return Mean(nothing, nothing, nothing, 0)
    value = numbers.mean(axis=0)
    if n == 1:
        return Mean(value, np.full_like(value, math.nan), np.full_like(value, math.nan), 1)
    half = _NORMAL_95 * numbers.std(axis=0, ddof=1) / math.sqrt(n)
    return Mean(value, value - half, value + half, n)


def texts_of(language: str | None, tags: Sequence[str]) -> NDArray[np.bool_]:
    """Which of N texts are in a language, (N,); None for all.

    Args:
        language: a tag.
        tags: of each text.

    Raises:
        InputError: no text is; the message names the languages that there are.
    """
    its = np.array([language is None or tag == language for tag in tags], dtype=bool)
    if language is not None and not its.any():
        present = ", ".join(sorted(set(tags) - {""})) or "texts without a language"
        raise InputError(f"language: there is no text in {language!r}; there are {present}")
    return its


def ranks(values: ArrayLike) -> Numbers:
    """Ranks of N values from 1, the smallest first; equal values share the mean of their ranks."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: Numbers = (last - (counts - 1) / 2)[inverse]
    return shared


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation (1904): Pearson's correlation of the ranks, ties shared.

    `ρ = Σ (r_i − r̄)(s_i − s̄) / √(Σ (r_i − r̄)² · Σ (s_i − s̄)²)`

    Args:
        a: N values, in any shape.
        b: N values, in the same order.

    Returns:
        From −1 to 1; NaN with fewer than two values, where all of one side are equal, or where one is NaN.

    Raises:
        ValueError: the numbers of values differ.
    """
    first, second = np.asarray(a, dtype=np.float64).ravel(), np.asarray(b, dtype=np.float64).ravel()
    if first.shape != second.shape:
        raise ValueError(f"rank correlation: expected as many values, got {first.size} and {second.size}")
    if len(first) < 2 or np.isnan(first).any() or np.isnan(second).any():
        return math.nan
    r, s = (ranks(side) - (len(first) + 1) / 2 for side in (first, second))
    scale = math.sqrt(float(r @ r) * float(s @ s))
    return float(r @ s) / scale if scale else math.nan
