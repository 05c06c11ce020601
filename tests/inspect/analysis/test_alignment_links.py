"""Pharaoh's format, gold standards and scores, against values worked out by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.errors import InputError
from xformer.inspect.analysis.alignment_links import (
    MULTI30K_EN_DE,
    Gold,
    Links,
    alignment_error_rate,
    alignment_scores,
    from_pharaoh,
    read_gold,
    to_pharaoh,
)
from xformer.inspect.analysis.words import split_words

links = st.frozensets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


def of(text: str) -> Links:
    return from_pharaoh(text)[1]


def test_scores_worked_out_by_hand() -> None:
    # 4 links found. Of 3 sure ones 2 are found; of the possible ones 3: precision 3/4, recall 2/3.
    gold = Gold(1, of("0-0 1-1 2-2"), of("0-0 1-1 2-2 2-3"))
    scores = alignment_scores([(of("0-0 1-1 2-3 3-3"), gold)])
    assert (scores.precision, scores.recall, scores.links) == (3 / 4, 2 / 3, 4)
    assert scores.f1 == pytest.approx(2 * 3 / 4 * 2 / 3 / (3 / 4 + 2 / 3))
    assert scores.aer == pytest.approx(1 - (2 + 3) / (4 + 3))


def test_pairs_are_scored_by_their_links_not_by_their_mean() -> None:
    right, wrong = Gold(1, of("0-0"), of("0-0")), Gold(2, of("0-0 1-1 2-2"), of("0-0 1-1 2-2"))
    scores = alignment_scores([(of("0-0"), right), (of("0-1 1-0 2-1"), wrong)])
    assert scores.aer == pytest.approx(1 - 2 / 8)


def test_extremes() -> None:
    assert alignment_error_rate(of("0-0 1-1"), of("0-0 1-1")) == 0
    assert alignment_error_rate(of("0-0 1-2"), of("0-0"), of("1-2")) == 0  # a possible link costs nothing
    assert alignment_error_rate(of("0-1"), of("0-0")) == 1
    assert alignment_error_rate(frozenset(), of("0-0")) == 1
    nothing = alignment_scores([(frozenset(), Gold(1, frozenset(), frozenset()))])
    assert (nothing.aer, nothing.f1, nothing.links) == (0, 1, 0)


@given(links, links, links)
def test_aer_lies_between_0_and_1(found: Links, sure: Links, possible: Links) -> None:
    assert 0 <= alignment_error_rate(found, sure, possible) <= 1


@given(links)
def test_without_possible_links_aer_is_one_minus_f1(sure: Links) -> None:
    found = of("0-0 1-1 2-2 5-4")
    scores = alignment_scores([(found, Gold(1, sure, sure))])
    if sure:
        assert scores.aer == pytest.approx(1 - scores.f1)


@given(links, links)
def test_pharaoh_there_and_back(sure: Links, possible: Links) -> None:
    assert from_pharaoh(to_pharaoh(sure, possible)) == (sure, sure | possible)


def test_pharaoh_is_in_order() -> None:
    assert to_pharaoh(of("10-2 2-10 2-9"), of("0-0 2-9")) == "0p0 2-9 2-10 10-2"
    assert from_pharaoh("") == (frozenset(), frozenset())


def test_gold_of_both_forms(tmp_path: Path) -> None:
    path = tmp_path / "gold"
    path.write_text("# said first\n0-0 1p1\n\n7\t2 3\t1-2\n", encoding="utf-8")
    first, second, third = read_gold(path)
    assert first == Gold(1, of("0-0"), of("0-0 1-1"))
    assert second == Gold(2, frozenset(), frozenset())
    assert third == Gold(7, of("1-2"), of("1-2"), (2, 3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0-0 1:1\n", r"gold:1: expected links as 0-0 \(sure\) or 0p0 \(possible\), got '1:1'"),
        ("0-0\n3\t2 2\t2-0\n", "gold:2: link 2-0 lies outside of 2 and 2 words"),
        ("three\t2 2\t0-0\n", "gold:1: expected line"),
        ("3\t2\t0-0\n", "gold:1: expected line"),
        ("# nothing\n", "expected links, got no line of them"),
    ],
)
def test_broken_gold_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "gold"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_gold(path)


def test_the_gold_that_comes_with_the_package() -> None:
    gold = read_gold(MULTI30K_EN_DE)
    assert [pair.line for pair in gold] == list(range(1, 51))
    assert all(pair.sure < pair.possible or pair.sure == pair.possible for pair in gold)
    # Every sentence is mostly linked, on both sides.
    for pair in gold:
        assert pair.words is not None
        for side in (0, 1):
            linked = {link[side] for link in pair.possible}
            assert len(linked) >= 0.75 * pair.words[side], pair.line


def test_its_links_join_the_words_they_were_made_for(shared_data: Path) -> None:
    """Some that the word order or a compound makes hard, read from the text; and the numbers of words."""
    sides: list[list[list[str]]] = []
    for language in ("en", "de"):
        path = shared_data / "multi30k" / f"test_2016_flickr.{language}.gz"
        texts = gzip.decompress(path.read_bytes()).decode().split("\n")
        sides.append([[text[a:b] for a, b in split_words(text)] for text in texts])
    named: dict[int, set[tuple[str, str]]] = {}
    for pair in read_gold(MULTI30K_EN_DE):
        left, right = (side[pair.line - 1] for side in sides)
        assert pair.words == (len(left), len(right)), pair.line
        named[pair.line] = {(left[i], right[j]) for i, j in pair.sure}
    assert {("standing", "stehen"), ("around", "herum"), ("around", "um")} <= named[6]
    assert {("winter", "Winterjacken"), ("jackets", "Winterjacken")} <= named[4]
    assert {("hands", "Händchen"), ("holding", "hält")} <= named[17]
    assert {("reenacting", "spielen"), ("reenacting", "nach")} <= named[29]
    assert {("missing", "nicht"), ("still", "noch"), ("bowl", "Schale")} <= named[12] | named[13]
