"""Pairs that are hidden, and what is found of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from xformer.embedding.mining.pairs import Pairs
from xformer.evaluation.mining.hidden_pairs import hide, intervals, judge

A, B = [f"a{number}" for number in range(60)], [f"b{number}" for number in range(60)]


def of_numbers(a: Sequence[str], b: Sequence[str]) -> np.ndarray:
    """1 for the translation, and nearly nothing for others."""
    noise = np.random.default_rng(0).uniform(0.1, 0.2, (len(a), len(b)))
    return np.where(np.equal.outer([x[1:] for x in a], [y[1:] for y in b]), 1.0, noise)


def test_half_of_each_side_has_a_partner_and_nothing_is_in_both_parts() -> None:
    parts = hide(A, B)
    for part in parts:
        assert (len(part.a), len(part.b), len(part.gold)) == (20, 20, 10)
        assert all(part.a[x][1:] == part.b[y][1:] for x, y in part.gold)
        alone = {x[1:] for x in part.a} ^ {y[1:] for y in part.b}
        assert len(alone) == 20
    assert not set(parts[0].a) & set(parts[1].a)
    assert hide(A, B)[0] == parts[0]
    assert hide(A, B, seed=1)[0] != parts[0]


def test_a_line_stands_there_once() -> None:
    sample, test = hide([*A, *A[:30], " "], [*B, *B[:30], "x"])
    assert len({*sample.a, *test.a}) == 40
    with pytest.raises(ValueError, match="at least 6 different lines, got 1"):
        hide(["a"] * 9, ["b"] * 9)


def test_perfect_similarities_find_all_and_no_more() -> None:
    judged = judge(of_numbers, *hide(A, B))
    assert (judged.scores.precision, judged.scores.recall) == (1, 1)
    assert judged.threshold.scores.f1 == 1
    assert judged.intervals == dict.fromkeys(("precision", "recall", "f1"), (1, 1))


def test_similarities_that_find_nothing_are_no_error() -> None:
    judged = judge(lambda a, b: np.zeros((len(a), len(b))), *hide(A, B))
    assert (judged.scores.found, judged.scores.recall, judged.intervals["precision"]) == (0, 0, None)


def test_similarities_that_know_nothing_find_little() -> None:
    rng = np.random.default_rng(3)
    judged = judge(lambda a, b: rng.uniform(0.1, 1, (len(a), len(b))), *hide(A, B))
    assert judged.scores.f1 < 0.5
    low, high = judged.intervals["f1"] or (0, 0)
    assert low <= judged.scores.f1 <= high


def test_intervals_are_those_of_lines_drawn_one_by_one() -> None:
    """Against the scores of lines that stand there as often as they were drawn."""
    _, test = hide([f"a{n}" for n in range(600)], [f"b{n}" for n in range(600)])
    rng = np.random.default_rng(5)
    rows = rng.permutation(200)[:80]
    partner = dict(test.gold)
    b = np.array([partner.get(a, 0) if rng.uniform() < 0.7 else 1 for a in rows.tolist()])
    pairs = Pairs(rows, b, np.ones(80), np.ones(80, np.float32))
    right, found = ({a for a, x in zip(rows, b, strict=True) if partner.get(a) == x}, set(rows.tolist()))
    f1 = []
    for _ in range(2_000):
        lines = rng.integers(0, 200, 200).tolist()
        counts = [sum(line in some for line in lines) for some in (right, found, partner.keys())]
        f1.append(2 * counts[0] / (counts[1] + counts[2]))
    assert intervals(pairs, test)["f1"] == pytest.approx(tuple(np.quantile(f1, [0.025, 0.975])), abs=0.02)
