"""Statistics of a corpus, as numbers, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xformer.data.corpus import import_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.data.statistics import QUANTILES, corpus_statistics
from xformer.errors import InputError

RECORDS = [
    Record("Save", "en", "1", "s"),
    Record("SAVE!", "en", "2", "s"),
    Record("x" * 98, "en", "3", "s"),
    Record("保存 ok", "ja", "1", "s"),
    Record("かな", "ja", "2", "s"),
]


def test_statistics_count_what_is_there(tmp_path: Path) -> None:
    options = ImportOptions(SplitSizes(dev=0, test=0))
    import_corpus(RECORDS, tmp_path / "c", options, [Source("by hand", "CC0-1.0")])
    told: list[tuple[str, int, int | None]] = []
    statistics = corpus_statistics(tmp_path / "c", progress=lambda *step: told.append(step))
    assert told == [("count train", 0, 5)]

    train = statistics.splits["train"]
    assert (train.records, train.groups) == (5, 3)
    assert train.languages_per_group == {1: 1, 2: 2}
    english, japanese = train.languages["en"], train.languages["ja"]
    assert (english.records, english.groups, english.coverage) == (3, 3, 1.0)
    assert (english.chars, english.bytes, english.duplicates) == (107, 107, 1)
    assert english.length_quantiles == (4, 5, 98, 98, 98)
    assert english.scripts == {"Latin": 1.0}
    assert (japanese.chars, japanese.bytes, japanese.coverage) == (7, 15, 2 / 3)
    assert japanese.scripts == {"CJK": 2 / 6, "Latin": 2 / 6, "Hiragana": 2 / 6}
    assert statistics.splits["test"].languages == {}
    assert statistics.splits["test"].languages_per_group == {}

    table = statistics.table("train").splitlines()
    assert table[0] == "train: 5 texts in 2 languages, 3 groups"
    assert [line.split()[:2] for line in table[1:]] == [
        ["language", "name"],
        ["en", "English"],
        ["ja", "Japanese"],
    ]
    assert table[3].endswith("CJK 33%, Latin 33%, Hiragana 33%")
    written = json.loads(statistics.to_json())["splits"]["train"]["languages"]["en"]
    assert (written["name"], written["records"]) == ("English", 3)


def test_quantiles_are_lengths_that_occur(tmp_path: Path) -> None:
    records = [Record("y" * length + "ab"[length % 2], "en", str(length), "s") for length in range(200)]
    options = ImportOptions(SplitSizes(dev=0, test=0))
    import_corpus(records, tmp_path / "c", options, [Source("by hand", "CC0-1.0")])
    english = corpus_statistics(tmp_path / "c").splits["train"].languages["en"]
    assert english.length_quantiles == tuple(round(share * 200) for share in QUANTILES)


def test_what_is_no_corpus_has_no_statistics(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of a corpus"):
        corpus_statistics(tmp_path / "nowhere")
