"""Precision, recall and F1 of mined pairs, and the threshold that is best on a labelled sample.

The definitions are those of the BUCC shared task (Zweigenbaum, Sharoff and Rapp 2017) as XTREME has them: a
pair is right if exactly that pair is among the true ones; the threshold is that of the best F1 on a sample.

Shapes: P pairs, best first; G true pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.embedding.mining.pairs import Pairs


@dataclass(frozen=True)
class Scores:
    """How many pairs are right.

    Attributes:
        right: true pairs among those found.
        found: pairs found.
        true: true pairs.
    """

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        """Share of the found pairs that are right; 1 where none was found, as nothing wrong was."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true pairs that were found; 1 where there is none."""
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two: `2 right / (found + true)`."""
        return 2 * self.right / (self.found + self.true) if self.found + self.true else 1.0


def score(pairs: Pairs, gold: Collection[tuple[int, int]]) -> Scores:
    """Compare pairs with the true ones.

    Args:
        pairs: found.
        gold: rows of each true pair; a text may be in several.
    """
    return Scores(int(are_right(pairs, gold).sum()), len(pairs), len(set(gold)))


@dataclass(frozen=True)
class Threshold:
    """The best threshold on a sample.

    Attributes:
        margin: pairs of at least this margin are kept.
        scores: of the sample with it.
    """

    margin: float
    scores: Scores


def best_threshold(pairs: Pairs, sample: Mapping[int, Collection[int]]) -> Threshold:
    """The threshold with the best F1 on a sample; of equally good ones the largest.

    It lies in the middle between the last margin that is kept and the first one that is not.

    Args:
        pairs: found in all texts, best first.
        sample: for each text of the first side that was looked at: its true partners, or none.

    Raises:
        ValueError: no text of the sample has a partner, or no pair has a text of the sample.
    """
    gold = frozenset((a, b) for a, partners in sample.items() for b in partners)
    if not gold:
        raise ValueError("expected a sample in which some texts have a translation, got none")
    asked = pairs.where(np.isin(pairs.a, np.fromiter(sample, dtype=np.int64, count=len(sample))))
    if not len(asked):
        raise ValueError("no pair was found for any text of the sample")
    right = np.cumsum(are_right(asked, gold))
    found = np.arange(1, len(asked) + 1)
    f1 = 2 * right / (found + len(gold))
    following = np.append(asked.margins[1:], -np.inf)
    f1[following == asked.margins] = -1  # equal margins are kept together, or none of them
    last = int(f1.argmax())
    margin = float(asked.margins[last])
    if np.isfinite(following[last]):
        margin = (margin + float(following[last])) / 2
    return Threshold(margin, Scores(int(right[last]), last + 1, len(gold)))


def are_right(pairs: Pairs, gold: Collection[tuple[int, int]]) -> NDArray[np.bool_]:
    """Whether each pair is among the true ones, (P,)."""
    gold = frozenset(gold)
    both = zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)
    return np.fromiter((pair in gold for pair in both), dtype=bool, count=len(pairs))
