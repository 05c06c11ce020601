"""Sentences with several translations: no pair is lost because one of its texts is there already."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.corpus import import_corpus, open_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.lost_pairs import LostPairs, find_lost_pairs, rejoin
from xformer.data.manifest import Manifest, Source
from xformer.data.record import Record, content_group
from xformer.data.split import SplitSizes

NOTHING_HELD_OUT = ImportOptions(SplitSizes(dev=0, test=0))


def records(*pairs: tuple[str, str]) -> list[Record]:
    return [
        Record(text, tag, content_group(*pair), "s")
        for pair in pairs
        for tag, text in zip(("en", "de"), pair, strict=True)
    ]


def imported(folder: Path, given: Sequence[Record]) -> tuple[set[tuple[str, str]], Manifest]:
    """The pairs of English and German that a corpus has in one group, and its manifest."""
    manifest = import_corpus(given, folder, NOTHING_HELD_OUT, [Source("by hand", "CC0-1.0")])
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    kept = list(open_corpus(folder).records("train"))
    assert max(Counter((record.language, record.text) for record in kept).values()) == 1
    for record in kept:
        groups[record.group][record.language].append(record.text)
    found = {(en, de) for texts in groups.values() for en in texts["en"] for de in texts["de"]}
    return found, manifest


def test_a_sentence_with_two_translations_keeps_both(tmp_path: Path) -> None:
    pairs = [
        ("Thank you.", "Danke."),
        ("Thank you.", "Vielen Dank."),
        ("Good day to you all.", "Guten Tag euch allen."),
    ]
    found, manifest = imported(tmp_path / "c", records(*pairs))
    assert found == set(pairs)
    assert manifest.unpaired == {}
    assert manifest.removed["duplicate"] == {"en": 1}


def test_what_has_two_meanings_does_not_join_a_third(tmp_path: Path) -> None:
    """`unlocked` would be a translation of `öffnen`; it stays alone, and the manifest counts it."""
    pairs = [("open", "öffnen"), ("open", "offen"), ("unlocked", "offen")]
    found, manifest = imported(tmp_path / "c", records(*pairs))
    assert found == set(pairs[:2])
    assert manifest.unpaired == {"en": 1}


def test_a_sentence_with_many_translations(tmp_path: Path) -> None:
    pairs = [("Yes.", f"Ja, {letter * 3}.") for letter in "abcdefghijklmnopqrstuvwxyz"]
    pairs += [(f"Why, {letter * 3}?", "Warum?") for letter in "abcdefgh"]
    found, manifest = imported(tmp_path / "c", records(*pairs))
    assert found == set(pairs)
    assert manifest.unpaired == {}


WORDS = st.sampled_from(["one", "two", "three", "four", "five"])


@settings(max_examples=50)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=12, unique=True))
def test_no_pair_is_invented_from_texts_that_are_alone(pairs: list[tuple[str, str]]) -> None:
    """Compared on the hashes alone: a joined group has a text that is in a given pair with all the others."""
    rows = [(number, tag, f"{tag}{pair[tag]}") for number, pair in enumerate(pairs) for tag in (0, 1)]
    group = np.array([number + 1 for number, _, _ in rows], dtype=np.uint64)
    language = np.array([tag for _, tag, _ in rows], dtype=np.uint16)
    texts = [text for _, _, text in rows]
    exact = np.array([sorted(set(texts)).index(text) for text in texts], dtype=np.uint64)
    stays = np.array([texts.index(text) == row for row, text in enumerate(texts)])
    lost = find_lost_pairs(group, language, exact, stays, ~stays)
    joined = rejoin(lost, group, exact, stays)
    assert (joined[~np.isin(group, lost.group)] == group[~np.isin(group, lost.group)]).all()
    for number in np.unique(joined[joined != group]):
        members = [row for row in np.flatnonzero((joined == number) & stays)]
        given_pairs = {(f"0{en}", f"1{de}") for en, de in pairs}
        assert any(
            all(
                tuple(sorted((texts[centre], texts[row]))) in given_pairs
                for row in members
                if language[row] != language[centre]
            )
            and {language[row] for row in members} == {0, 1}
            for centre in members
        )


def test_a_copy_that_is_gone_in_the_end_joins_nothing() -> None:
    group = np.array([1, 1, 2, 2], dtype=np.uint64)
    exact = np.array([10, 11, 10, 12], dtype=np.uint64)
    pairs = LostPairs(np.array([2], dtype=np.uint64), np.array([0]))
    assert rejoin(pairs, group, exact, np.array([True, True, False, True])).tolist() == [1, 1, 1, 1]
    assert rejoin(pairs, group, exact, np.array([False, True, False, True])).tolist() == [1, 1, 2, 2]
