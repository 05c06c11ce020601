from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.synthetic_labels import sentences
from xformer.data.labelled import LabelledWords
from xformer.errors import InputError
from xformer.finetuning.data_record import DataRecord, PartRecord, read_data_record, write_data_record
from xformer.runs.directory import RunDirectory


def test_examples_are_counted_by_language_and_label() -> None:
    found = PartRecord.of([*sentences("de")[:3], *sentences("en")], [Path("a.en.tsv")])
    assert (found.files, found.examples) == (("a.en.tsv",), 123)
    assert list(found.languages.items()) == [("en", 120), ("de", 3)]
    assert sum(found.labels.values()) == 123
    words = LabelledWords(("a", "b", "c"), ("X", "O", "X"), "en", "f", 1)
    assert PartRecord.of([words]).labels == {"O": 1, "X": 2}


def test_the_hash_is_of_texts_labels_and_languages() -> None:
    texts = sentences("en")[:3]
    same = [replace(one, place="elsewhere") for one in texts]
    assert PartRecord.of(texts).sha256 == PartRecord.of(same).sha256
    for change in ({"text": "x"}, {"labels": ("x",)}, {"language": "de"}):
        other = [replace(texts[0], **change), *texts[1:]]
        assert PartRecord.of(other).sha256 != PartRecord.of(texts).sha256


def test_a_run_gives_it_back_or_says_what_is_damaged(tmp_path: Path) -> None:
    run, part = RunDirectory(tmp_path), PartRecord.of(sentences("en"))
    assert read_data_record(run) is None
    options = {"train": ["a.en.tsv"], "seeds": 2, "budget": None}
    record = DataRecord(part, part, licence="CC0-1.0", left_out={"without text": 3}, options=options)
    write_data_record(run, record)
    assert read_data_record(run) == record
    for damaged in ("", "[]", '{"train": 3}'):
        run.labelled_data.write_text(damaged, encoding="utf-8")
        with pytest.raises(InputError, match=r"data\.json: expected the record of a run's data"):
            read_data_record(run)
