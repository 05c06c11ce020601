"""Aligners against a gold standard: what is scored, and what was chosen on which pairs."""

from __future__ import annotations

import pytest

from xformer.errors import InputError
from xformer.inspect.analysis.align_gold import choose, diagonals, gold_pairs, score
from xformer.inspect.analysis.alignment_links import Gold, Links, alignment_scores, from_pharaoh


def of(text: str) -> Links:
    return from_pharaoh(text)[1]


GOLD = [Gold(line, of("0-0 1-1"), of("0-0 1-1")) for line in (1, 2, 3, 4)]
RIGHT, HALF, WRONG = of("0-0 1-1"), of("0-0 1-0"), of("0-1 1-0")


def test_the_choice_is_scored_on_pairs_that_had_no_part_in_it() -> None:
    """The second aligner is the best on pairs 1 and 3 by luck; on the others it is the worst."""
    steady, lucky = [HALF, RIGHT, RIGHT, RIGHT], [RIGHT, WRONG, RIGHT, WRONG]
    found = choose([steady, lucky], GOLD)
    assert (found.index, found.seen.aer, found.unseen.aer) == (1, 0, 1)
    assert choose([steady, steady], GOLD).index == 0
    with pytest.raises(InputError, match="expected two pairs or more"):
        choose([steady], GOLD[:1])


def test_scores_are_of_all_pairs() -> None:
    links = [RIGHT, HALF, WRONG, RIGHT]
    assert score(links, GOLD) == alignment_scores(zip(links, GOLD, strict=True))
    with pytest.raises(ValueError, match="zip"):
        score(links[:3], GOLD)


def test_pairs_of_the_gold_standard_s_lines() -> None:
    left, right = ["first", "the cat", "third"], ["erste", "die Katze!", "dritte"]
    assert gold_pairs(left, right, [Gold(2, of("1-1"), of("1-2"), (2, 3))]) == [("the cat", "die Katze!")]
    assert diagonals([("the cat", "die Katze")]) == [of("0-0 1-1")]


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        (Gold(3, of("0-0"), of("0-0")), "expected lines 1 to 2 of the texts, got 3"),
        (Gold(2, of("0-0"), of("0-0"), (1, 2)), r"line 2 has \(1, 2\) words there, \(2, 2\) here"),
        (Gold(2, of("0-0"), of("0-0 0-2")), "line 2: link 0-2 lies outside of 2 and 2 words"),
    ],
)
def test_other_texts_are_noticed(gold: Gold, said: str) -> None:
    with pytest.raises(InputError, match=said):
        gold_pairs(["a", "the cat"], ["b", "die Katze"], [gold])
