"""Pairs of translations hidden among as many other lines, and how many of them are found.

The lines come from parallel text. They are divided into a sample, which chooses the threshold, and a test; in
each a third of the lines gives the pairs, a third the other lines of the first language alone, and a third
those of the second. So in each language half of the lines have no partner.

Shapes: A and B texts, E parallel lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.embedding.mining.margin import with_margins
from xformer.embedding.mining.mine import NEIGHBOURS
from xformer.embedding.mining.pairs import Pairs, choose
from xformer.embedding.mining.scoring import Scores, Threshold, are_right, best_threshold, score
from xformer.embedding.search.best import Best
from xformer.evaluation.outside.bootstrap import Interval, ratio_interval

Similarities = Callable[[Sequence[str], Sequence[str]], NDArray[np.floating]]
"""Of each text of one list with each of another, (A, B)."""


@dataclass(frozen=True)
class HiddenPairs:
    """Two lists of texts, in random order.

    Attributes:
        a: texts of the first language.
        b: texts of the second.
        gold: rows of each true pair.
    """

    a: tuple[str, ...]
    b: tuple[str, ...]
    gold: frozenset[tuple[int, int]]


def hide(a: Sequence[str], b: Sequence[str], seed: int = 0) -> tuple[HiddenPairs, HiddenPairs]:
    """A sample and a test, half of the lines each, without lines that are empty or stand there twice.

    Args:
        a: E lines.
        b: their translations.
        seed: of the order.

    Raises:
        ValueError: there are fewer than six such lines.
    """
    rng = np.random.default_rng(seed)
    seen: set[str] = set()
    rows = []
    for row in rng.permutation(len(a)).tolist():
        texts = {a[row].strip(), b[row].strip()}
        if "" not in texts and not texts & seen:
            rows.append(row)
            seen |= texts
    third = len(rows) // 6
    if not third:
        raise ValueError(f"expected at least 6 different lines, got {len(rows)}")
    parts = [rows[start : start + 3 * third] for start in (0, 3 * third)]
    sample, test = (_hidden(a, b, part, third, rng) for part in parts)
    return sample, test


def _hidden(
    a: Sequence[str], b: Sequence[str], rows: list[int], third: int, rng: np.random.Generator
) -> HiddenPairs:
    left = [*rows[:third], *rows[third : 2 * third]]
    right = [*rows[:third], *rows[2 * third :]]
    order_a, order_b = rng.permutation(2 * third), rng.permutation(2 * third)
    place_a, place_b = np.argsort(order_a), np.argsort(order_b)
    gold = frozenset(zip(place_a[:third].tolist(), place_b[:third].tolist(), strict=True))
    return HiddenPairs(tuple(a[left[i]] for i in order_a), tuple(b[right[i]] for i in order_b), gold)


@dataclass(frozen=True)
class Judged:
    """What was found in a test.

    Attributes:
        threshold: that of the sample, with the sample's scores.
        scores: of the test with it.
        intervals: 95% intervals of `precision`, `recall` and `f1`, over the lines of the test, for this
            threshold; None where nothing was found.
    """

    threshold: Threshold
    scores: Scores
    intervals: dict[str, Interval | None]


def judge(similarities: Similarities, sample: HiddenPairs, test: HiddenPairs) -> Judged:
    """Mine both by ratio margins, one to one; the sample chooses the threshold for the test.

    Where nothing is found in the sample, all that is found in the test counts.
    """
    gold = dict(sample.gold)
    labelled = {row: {gold[row]} if row in gold else set() for row in range(len(sample.a))}
    mined = _mined(similarities(sample.a, sample.b))
    nothing = Threshold(0.0, Scores(0, 0, len(gold)))
    threshold = best_threshold(mined, labelled) if len(mined) else nothing
    found = _mined(similarities(test.a, test.b)).from_margin(threshold.margin)
    return Judged(threshold, score(found, test.gold), intervals(found, test))


def intervals(found: Pairs, test: HiddenPairs, seed: int = 0) -> dict[str, Interval | None]:
    """95% intervals of precision, recall and F1, by bootstrap of the lines of the first language.

    All pairs of a line, found and true, are drawn together. The same seed draws the same lines for each side.
    """
    lines = len(test.a)
    right = np.bincount(found.a[are_right(found, test.gold)], minlength=lines).astype(np.float64)
    given = np.bincount(found.a, minlength=lines).astype(np.float64)
    true = np.bincount([a for a, _ in test.gold], minlength=lines).astype(np.float64)
    return {
        "precision": ratio_interval(right, given, seed),
        "recall": ratio_interval(right, true, seed),
        "f1": ratio_interval(2 * right, given + true, seed),
    }


def _mined(similarities: NDArray[np.floating]) -> Pairs:
    return choose(*with_margins(_nearest(similarities), _nearest(similarities.T)))


def _nearest(similarities: NDArray[np.floating]) -> Best:
    """The nearest of each row; of equal ones the first."""
    best = Best(len(similarities), min(NEIGHBOURS, similarities.shape[1]))
    best.ids = np.argsort(-similarities, axis=1, kind="stable")[:, : best.k]
    best.scores = np.take_along_axis(similarities, best.ids, 1).astype(np.float32)
    return best
