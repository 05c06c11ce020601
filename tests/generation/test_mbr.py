"""chrF against sacrebleu and by hand, and the choice among samples. Covers `chrf`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.generation.chrf import character_ngrams, chrf
from xformer.generation.mbr import expected_chrf, minimum_risk


def score(hypothesis: str, reference: str) -> float:
    return chrf(character_ngrams(hypothesis), character_ngrams(reference))


def test_by_hand() -> None:
    # "abc" and "abd": 2 of 3 letters, 1 of 2 pairs, 0 of 1 triple, both ways; no longer ones.
    assert score("a bc", "ab d") == pytest.approx(100 * (2 / 3 + 1 / 2) / 3)
    # "ab" and "abab": precision 1 and 1; recall 2 of 4 and 1 of 3; F2 of the means 1 and 5/12.
    assert score("ab", "abab") == pytest.approx(100 * 5 * (5 / 12) / (4 + 5 / 12))
    assert score("", "abc") == score("abc", "") == score("", "") == score("abc", "xyz") == 0
    assert score("the same", "the same") == pytest.approx(100)


@given(st.text("ab cé\u2028", max_size=12), st.text("ab cé\u2028", max_size=12))
def test_it_is_that_of_sacrebleu(hypothesis: str, reference: str) -> None:
    metrics = pytest.importorskip("sacrebleu.metrics")
    expected = metrics.CHRF().sentence_score(hypothesis, [reference]).score
    assert score(hypothesis, reference) == pytest.approx(expected, abs=1e-9)


def test_the_sample_most_like_the_others_is_chosen() -> None:
    samples = ["a red house", "a red horse", "the blue sea", "a red house!", "a red house"]
    table = [[score(one, other) for other in samples] for one in samples]
    expected = [sum(row) / len(row) for row in table]
    assert expected_chrf(samples) == pytest.approx(expected)
    assert minimum_risk(samples) == expected.index(max(expected)) == 3
    with pytest.raises(ValueError, match=r"^samples: expected at least one"):
        minimum_risk([])
