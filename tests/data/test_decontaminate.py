"""Overlaps of records with test sets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.plain_held_out import PlainDecontaminator
from xformer.data.batches import Batch
from xformer.data.decontaminate import Decontaminator
from xformer.data.dedup_keys import DedupKeys
from xformer.data.record import Record

LONG = "The quick brown fox jumps over the lazy dog while seven old men watch from the bridge nearby"


TEXTS = st.lists(st.sampled_from(["a", "b", "cd", "ef,", "G", "1", "保存", "ẗ", "ᾷ"]), max_size=8).map(
    " ".join
)
RECORDS = st.lists(
    st.builds(Record, TEXTS, st.sampled_from(["en", "en-GB", "de"]), st.just("g"), st.just("s"))
)


@settings(max_examples=40)
@given(RECORDS, RECORDS, RECORDS, st.sampled_from([1, 2, 3]))
def test_the_same_records_overlap_as_by_definition(
    one: list[Record], two: list[Record], records: list[Record], n: int
) -> None:
    plain = PlainDecontaminator({"one": one, "two": two}, n)
    tool = Decontaminator([("one", one), ("two", two)], n=n)
    expected = [plain.overlap(record) for record in records]
    assert [_overlap(tool, record) for record in records[:2]] == expected[:2]
    batch = Batch.of(records)
    found = tool.overlaps(batch, DedupKeys().of(batch.text))
    assert [found.get(place) for place in range(len(records))] == expected


def _overlap(tool: Decontaminator, record: Record) -> tuple[str, str] | None:
    return tool.overlaps(Batch.of([record]), DedupKeys().of([record.text])).get(0)


def _record(text: str, language: str = "en") -> Record:
    return Record(text, language, "group", "source")


def _decontaminator(*texts: str, n: int = 13) -> Decontaminator:
    return Decontaminator([("flickr", [_record(text) for text in texts])], n=n)


def test_overlaps_are_found_and_named() -> None:
    tool = _decontaminator("A dog runs on the beach.", LONG)
    assert _overlap(tool, _record("a DOG runs, on the beach")) == ("flickr", "exact")
    assert _overlap(tool, _record("Two dogs run on the beach.")) is None
    assert _overlap(tool, _record("A dog runs on the beaches.")) == ("flickr", "near")
    # A test sentence inside a document is no near duplicate of it, but shares words in a row.
    assert _overlap(tool, _record("Chapter 1. " + "Something else entirely happened. " * 9 + LONG)) == (
        "flickr",
        "n-gram",
    )


def test_twelve_words_in_a_row_are_not_thirteen() -> None:
    tool = _decontaminator(LONG)
    filler = "quite another story " * 9
    assert _overlap(tool, _record(filler + " ".join(LONG.split()[:12]))) is None
    assert _overlap(tool, _record(filler + " ".join(LONG.split()[:13]))) == ("flickr", "n-gram")


def test_scripts_without_spaces_count_letters() -> None:
    sentence = "一只棕色的狐狸跳过了那条懒狗"
    tool = Decontaminator([("zh", [_record(sentence, "zh-Hans")])])
    other = "完全不同的文字写在这里没有任何相同之处" * 3
    assert _overlap(tool, _record(other + sentence, "zh-Hans")) == ("zh", "n-gram")
    assert _overlap(tool, _record(other, "zh-Hans")) is None


def test_the_first_of_several_test_sets_is_named() -> None:
    tool = Decontaminator([("one", [_record("alpha beta")]), ("two", [_record("gamma delta")])])
    assert _overlap(tool, _record("Gamma, delta")) == ("two", "exact")


def test_the_language_of_an_exact_overlap_does_not_matter() -> None:
    tool = _decontaminator("alpha beta")
    assert _overlap(tool, _record("keep me please")) is None
    assert _overlap(tool, _record("Alpha beta")) == ("flickr", "exact")
    assert _overlap(tool, _record("alpha BETA", "de")) == ("flickr", "exact")


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="n: expected at least 1 word, got 0"):
        _decontaminator(n=0)
    with pytest.raises(ValueError, match="'one' twice"):
        Decontaminator([("one", []), ("one", [])])
