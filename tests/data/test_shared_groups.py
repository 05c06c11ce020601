"""Shared groups, beside counting by sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data import shared_groups
from xformer.data.corpus import import_corpus, open_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.shared_groups import SharedGroups, has_translations
from xformer.data.split import SplitSizes

ROWS = st.lists(st.tuples(st.sampled_from(["de", "en", "fr", "ja"]), st.integers(0, 12), st.integers(1, 9)))


@settings(max_examples=80)
@given(ROWS, st.sampled_from([None, 4]), st.integers(1, 5))
def test_counts(rows: list[tuple[str, int, int]], max_bytes: int | None, block: int) -> None:
    records = [Record("x" * size, language, f"group {group}", "s") for language, group, size in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_groups, "_GROUPS_AT_ONCE", block)
        found = SharedGroups.of(iter(records), max_bytes)
    kept = [row for row in rows if max_bytes is None or row[2] <= max_bytes]
    groups = {tag: {group for language, group, _ in kept if language == tag} for tag in dict(kept_tags(kept))}
    assert found.languages == tuple(sorted(groups))
    for tag in groups:
        others = {other: len(groups[tag] & groups[other]) for other in groups if other != tag}
        assert found.with_pivot(tag) == {other: count for other, count in others.items() if count}
        elsewhere = set().union(*(groups[other] for other in others)) if others else set()
        assert found.translated.get(tag, 0) == len(groups[tag] & elsewhere)
    assert found.with_pivot("xx") == {}
    assert list(found.translated.values()) == sorted(found.translated.values(), reverse=True)


def kept_tags(rows: list[tuple[str, int, int]]) -> list[tuple[str, None]]:
    return [(language, None) for language, _, _ in rows]


def test_many_groups() -> None:
    count = 3 * shared_groups._GROUPS_AT_ONCE + 5
    records = (Record("x", tag, str(n), "s") for n in range(count) for tag in ("de", "en", "fr")[: 1 + n % 3])
    found = SharedGroups.of(records)
    numbers = np.arange(count) % 3
    assert found.with_pivot("de") == {"en": int((numbers > 0).sum()), "fr": int((numbers > 1).sum())}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("de", 1), ("de", 2), ("de", 2)], False),  # one language
        ([("de", 1), ("en", 2)], False),  # no group has two texts
        ([("de", 1), ("de", 1), ("en", 2), ("en", 2)], False),
        ([("de", 1), ("de", 1), ("en", 2), ("en", 1)], True),
    ],
)
def test_a_translation_is_found(rows: list[tuple[str, int]], expected: bool, tmp_path: Path) -> None:
    records = [Record(f"{tag} text number {n}", tag, f"{group}", "s") for n, (tag, group) in enumerate(rows)]
    options = ImportOptions(SplitSizes(dev=0, test=0), near_threshold=1.0)
    import_corpus(records, tmp_path / "corpus", options, [Source("s", "CC0-1.0")])
    assert has_translations(open_corpus(tmp_path / "corpus"), "train") == expected
