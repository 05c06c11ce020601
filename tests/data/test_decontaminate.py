"""Overlaps of records with test sets."""

from __future__ import annotations

import pytest

from xformer.data.decontaminate import Decontaminator
from xformer.data.record import Record

LONG = "The quick brown fox jumps over the lazy dog while seven old men watch from the bridge nearby"


def _record(text: str, language: str = "en") -> Record:
    return Record(text, language, "group", "source")


def _decontaminator(*texts: str, n: int = 13) -> Decontaminator:
    return Decontaminator([("flickr", [_record(text) for text in texts])], n=n)


def test_overlaps_are_found_and_named() -> None:
    tool = _decontaminator("A dog runs on the beach.", LONG)
    assert tool.overlap(_record("a DOG runs, on the beach")) == ("flickr", "exact")
    assert tool.overlap(_record("Two dogs run on the beach.")) is None
    assert tool.overlap(_record("A dog runs on the beaches.")) == ("flickr", "near")
    # A test sentence inside a document is no near duplicate of it, but shares words in a row.
    assert tool.overlap(_record("Chapter 1. " + "Something else entirely happened. " * 9 + LONG)) == (
        "flickr",
        "n-gram",
    )


def test_twelve_words_in_a_row_are_not_thirteen() -> None:
    tool = _decontaminator(LONG)
    filler = "quite another story " * 9
    assert tool.overlap(_record(filler + " ".join(LONG.split()[:12]))) is None
    assert tool.overlap(_record(filler + " ".join(LONG.split()[:13]))) == ("flickr", "n-gram")


def test_scripts_without_spaces_count_letters() -> None:
    sentence = "一只棕色的狐狸跳过了那条懒狗"
    tool = Decontaminator([("zh", [_record(sentence, "zh-Hans")])])
    other = "完全不同的文字写在这里没有任何相同之处" * 3
    assert tool.overlap(_record(other + sentence, "zh-Hans")) == ("zh", "n-gram")
    assert tool.overlap(_record(other, "zh-Hans")) is None


def test_the_first_of_several_test_sets_is_named() -> None:
    tool = Decontaminator([("one", [_record("alpha beta")]), ("two", [_record("gamma delta")])])
    assert tool.overlap(_record("Gamma, delta")) == ("two", "exact")


def test_the_language_of_an_exact_overlap_does_not_matter() -> None:
    tool = _decontaminator("alpha beta")
    assert tool.overlap(_record("keep me please")) is None
    assert tool.overlap(_record("Alpha beta")) == ("flickr", "exact")
    assert tool.overlap(_record("alpha BETA", "de")) == ("flickr", "exact")


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="n: expected at least 1 word, got 0"):
        _decontaminator(n=0)
    with pytest.raises(ValueError, match="'one' twice"):
        Decontaminator([("one", []), ("one", [])])
