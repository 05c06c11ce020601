"""Fine-tuning in Python. Covers xformer.finetuning.setup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import xformer
from tests.synthetic_labels import sentences
from xformer.api.finetune import _texts
from xformer.data.labelled import LabelFields, LeftOut
from xformer.errors import InputError
from xformer.finetuning.data_record import read_data_record
from xformer.finetuning.setup import seen_in_training
from xformer.runs.directory import RunDirectory

ROWS = [("the dog", "animal"), ("", "animal"), ("a bus", "traffic")]


class Dataset(list[dict[str, Any]]):
    """Rows with features, as `datasets` has them."""

    features: ClassVar = {"text": SimpleNamespace(), "label": SimpleNamespace(names=["animal", "traffic"])}


def read(texts: Any, language: str | None = "en", fields: LabelFields | None = None) -> list[tuple[Any, ...]]:
    found = _texts(texts, fields or LabelFields(), language, "train", LeftOut())
    return [(one.text, one.labels, one.language, one.place) for one in found]


def test_rows_of_every_kind_mean_the_same(tmp_path: Path) -> None:
    expected = [("the dog", ("animal",), "en", "train[0]"), ("a bus", ("traffic",), "en", "train[2]")]
    dicts = [{"text": text, "label": label, "language": "en"} for text, label in ROWS]
    numbers = [{"text": text, "label": ("animal", "traffic").index(label)} for text, label in ROWS]
    for rows in (ROWS, [list(row) for row in ROWS], iter(ROWS), dicts, Dataset(numbers)):
        assert read(rows) == expected
    assert read(dicts, None, LabelFields(language="language")) == expected
    by_language = {"de": ROWS[:1], "fr": ROWS[2:]}
    assert [one[2:] for one in read(by_language, None)] == [
        ("de", "train['de'][0]"),
        ("fr", "train['fr'][0]"),
    ]
    path = tmp_path / "a.en.tsv"
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS), encoding="utf-8")
    for given in (path, str(path), [path]):
        assert [one[:3] for one in read(given, None)] == [one[:3] for one in expected]
    several = [("x", ["b", "a"]), ("y", ()), ("z", {"c"})]
    assert [one[1] for one in read(several, fields=LabelFields(separator=","))] == [("a", "b"), (), ("c",)]


@pytest.mark.parametrize(
    ("rows", "language", "expected"),
    [
        (ROWS, None, "train: expected its language, or the field that has it"),
        ([], "en", "train: expected texts with labels, found none"),
        (3, "en", "train: expected rows, files, or either by language, got int"),
        (["a", 3], "en", r"train\[0\]: expected a row with fields, or a text and its label, got 'a'"),
        ([("a", None)], "en", r"train\[0\]: field 'label': expected a label, it is empty"),
        ([("a", 0.5)], "en", r"train\[0\]: field 'label': expected one label"),
        ([{"text": "a"}], "en", r"train\[0\]: no field 'label'; there are 'text'"),
        (
            Dataset([{"text": "a", "label": -1}]),
            "en",
            r"train\[0\]: field 'label': expected a class from 0 to 1",
        ),
        ({"en": [(3, "a")]}, None, r"train\['en'\]\[0\]: field 'text': expected text, got 3"),
        ("none.en.tsv", None, "no such file"),
    ],
)
def test_what_cannot_be_read_is_named(rows: Any, language: str | None, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        read(rows, language)


def test_a_run_is_made_from_rows(
    trained: RunDirectory, tmp_path: Path, listening: Callable[..., Any]
) -> None:
    train = [(one.text, one.labels[0]) for one in sentences("en")[::2]]
    test = {tag: [(one.text, one.labels[0]) for one in sentences(tag)[1::8]] for tag in ("en", "de")}
    call: dict[str, Any] = dict(train=train, test=test, language="en", out=tmp_path / "animals", epochs=2)
    call |= dict(baselines=False, settings=["training.precision=fp32"], licence="CC0-1.0")
    said = listening()
    model, report = xformer.finetune.classify(trained.path, progress=said, **call)
    assert model.labels == ("bird", "cat", "dog", "fox", "horse")
    assert set(report.languages) == {"de", "en"}
    assert "stand in the training part" not in said.console.export_text(clear=False)
    record = read_data_record(RunDirectory(tmp_path / "animals"))
    assert record is not None
    assert (record.options, record.licence, record.train.files) == (None, "CC0-1.0", ())
    assert (record.train.examples, record.dev.examples) == (54, 6)
    assert "Licence of the texts: CC0-1.0" in (tmp_path / "animals" / "README.md").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"test\[0\]: the training files never have the label 'mouse'"):
        xformer.finetune.classify(trained.path, **call | {"test": [("die Maus", "mouse")]})
    with pytest.raises(InputError, match="out: expected another folder than the pretrained run's"):
        xformer.finetune.classify(trained.path, **call | {"out": trained.path})


def test_test_texts_that_were_trained_on_are_counted() -> None:
    train, tests = sentences("en")[:4], [*sentences("en")[2:6], *sentences("de")[:2]]
    assert seen_in_training(train, tests) == 2
    spaced = [replace(one, text=f" {one.text}\n") for one in train]
    assert seen_in_training(spaced, tests) == 2
    assert seen_in_training([], tests) == 0
