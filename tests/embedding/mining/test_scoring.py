"""Scores of pairs, and the threshold of a sample, against trying every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.embedding.mining.pairs import Pairs
from xformer.embedding.mining.scoring import best_threshold, score


def pairs(found: list[tuple[int, int, float]]) -> Pairs:
    found = sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))
    a, b, margins = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
    return Pairs(np.array(a, int), np.array(b, int), np.array(margins, float), np.zeros(len(a), np.float32))


def test_counts() -> None:
    found = pairs([(0, 0, 2.0), (1, 2, 1.5), (3, 3, 1.1)])
    scores = score(found, {(0, 0), (1, 1), (3, 3), (4, 4)})
    assert (scores.right, scores.found, scores.true) == (2, 3, 4)
    assert (scores.precision, scores.recall) == (2 / 3, 0.5)
    assert scores.f1 == pytest.approx(4 / 7)
    nothing = score(pairs([]), {(0, 0)})
    assert (nothing.precision, nothing.recall, nothing.f1) == (1.0, 0.0, 0.0)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([1.0, 1.1, 1.2, 1.5])),
        min_size=1,
        unique_by=lambda pair: pair[0],
    ),
    st.dictionaries(st.integers(0, 9), st.sets(st.integers(0, 9), max_size=2), min_size=1),
)
def test_no_threshold_is_better_on_the_sample(
    found: list[tuple[int, int, float]], sample: dict[int, set[int]]
) -> None:
    gold = {(a, b) for a, partners in sample.items() for b in partners}
    asked = [pair for pair in found if pair[0] in sample]
    if not gold or not asked:
        with pytest.raises(ValueError, match=r"expected a sample|no pair"):
            best_threshold(pairs(found), sample)
        return
    best = best_threshold(pairs(found), sample)
    again = score(pairs(asked).from_margin(best.margin), gold)
    assert again == best.scores
    others = [score(pairs(asked).from_margin(limit), gold).f1 for limit in (0.5, 1.05, 1.15, 1.3)]
    assert again.f1 >= max(others) - 1e-12
