"""Beside the library itself: what it makes, streams and saves is read, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xformer.api.finetune import _texts
from xformer.cli.data import DataImport
from xformer.data.import_notes import ImportNotes
from xformer.data.labelled import LabelFields, LeftOut
from xformer.data.manifest import Manifest
from xformer.data.readers import Fields, ParallelFields, read_datasets
from xformer.data.readers.hf_datasets import DatasetOptions, dataset_files, read_dataset_at, source_name
from xformer.errors import InputError

datasets = pytest.importorskip("datasets")
from datasets import ClassLabel, Dataset, DatasetDict, Features, Translation, Value  # noqa: E402

# The library leaves a file open that was not read to its end.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PAIRS = [{"en": "a dog", "de": "ein Hund"}, {"en": "a cat", "de": None}, {"en": "", "de": "ein Haus"}]
TRANSLATIONS = Features(
    {"translation": Translation(["en", "de"]), "topic": ClassLabel(names=["pet", "home"])}
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No bars, and nothing outside of the test's folder."""
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def translations() -> Any:
    return Dataset.from_dict({"translation": PAIRS, "topic": [0, 0, 1]}, features=TRANSLATIONS)


def texts(records: Any) -> list[tuple[str, str]]:
    return [(one.text, one.language) for one in records]


EXPECTED = [("a dog", "en"), ("ein Hund", "de"), ("a cat", "en"), ("ein Haus", "de")]


def test_translations_are_found_by_their_type() -> None:
    notes = ImportNotes()
    found = list(read_datasets(translations(), Fields(label="topic"), notes=notes))
    assert texts(found) == EXPECTED
    assert [one.label for one in found] == ["pet", "pet", "pet", "home"]
    assert found[0].group == found[1].group != found[2].group
    assert found[0].source == "dataset:1"
    assert sum(notes.left_out["no text"].values()) == 2


@pytest.mark.parametrize("kind", ["parquet", "json", "saved", "streamed", "numpy"])
def test_the_same_on_every_way(kind: str, tmp_path: Path) -> None:
    dataset = translations()
    if kind == "streamed":
        found = texts(read_datasets(dataset.to_iterable_dataset()))
    elif kind == "numpy":
        found = texts(read_datasets(dataset.with_format("numpy")))
    else:
        path = tmp_path / f"pairs.{kind}"
        {"parquet": dataset.to_parquet, "json": dataset.to_json, "saved": dataset.save_to_disk}[kind](
            str(path)
        )
        options = DatasetOptions()
        found = texts(read_dataset_at(str(path), Fields(), options, language=None, notes=None))
        assert dataset_files(str(path))
        if kind != "saved":
            builder = {"json": "json", "parquet": "parquet"}[kind]
            stream = datasets.load_dataset(builder, data_files=str(path), streaming=True)
            assert sorted(texts(read_datasets(stream))) == sorted(EXPECTED)
    # JSON has the languages in the order of their names.
    assert sorted(found) == sorted(EXPECTED)


def test_any_number_of_translations() -> None:
    features = Features({"talk": datasets.TranslationVariableLanguages(["en", "fr"])})
    rows = [{"en": "a dog", "fr": ["un chien", "une chienne"]}, {"fr": "rien"}]
    dataset = Dataset.from_dict(
        {"talk": [features["talk"].encode_example(row) for row in rows]}, features=features
    )
    found = list(read_datasets(dataset))
    assert texts(found) == [("a dog", "en"), ("un chien", "fr"), ("une chienne", "fr"), ("rien", "fr")]
    assert len({one.group for one in found}) == 2


def test_columns_and_languages() -> None:
    dataset = Dataset.from_dict({"text": ["a", None, "c"], "lang": ["en", "de", "pt_BR"], "n": [1, 2, 3]})
    by_column = texts(read_datasets(dataset, Fields(language="lang")))
    assert by_column == [("a", "en"), ("c", "pt-BR")]
    assert texts(read_datasets(dataset, Fields(language="de"))) == [("a", "de"), ("c", "de")]
    assert texts(read_datasets(dataset, language="fr")) == [("a", "fr"), ("c", "fr")]
    named = Dataset.from_dict({"english": ["a"], "german": ["b"]})
    parallel = ParallelFields({"english": "en", "german": "de"})
    assert texts(read_datasets(named, parallel)) == [("a", "en"), ("b", "de")]


def test_splits_are_chosen() -> None:
    one, two = (Dataset.from_dict({"text": [text]}) for text in ("a", "b"))
    both = DatasetDict({"train": one, "test": two})
    assert texts(read_datasets(both, language="en", splits=["test", "train"])) == [("b", "en"), ("a", "en")]
    assert texts(read_datasets(DatasetDict({"test": two}), language="en")) == [("b", "en")]


def rows(**columns: Any) -> Any:
    return Dataset.from_dict(columns)


REFUSED: list[tuple[Callable[[], Any], dict[str, Any], str]] = [
    (lambda: [1, 2], {}, "expected a dataset of the library datasets, got list"),
    (lambda: rows(text=["a"]), {}, "does not give the language"),
    (lambda: rows(text=["a"]), {"splits": ["train"]}, "expected no names of splits"),
    (
        lambda: DatasetDict({"a": rows(text=["a"]), "b": rows(text=["a"])}),
        {},
        "names of splits .* it has a, b",
    ),
    (lambda: DatasetDict({"a": rows(text=["a"])}), {"splits": ["b"]}, "has no split b; it has a"),
    (
        lambda: rows(sentence=["a"], n=[1]),
        {"language": "en"},
        "no column 'text'; name the one .*: 'sentence'$",
    ),
    (lambda: rows(text=["a"]), {"fields": Fields("texts"), "language": "en"}, "no column 'texts'"),
    (
        lambda: rows(text=[["a"]]),
        {"language": "en"},
        "field 'text': expected text, its column has list; join",
    ),
    (lambda: rows(text=[1]), {"language": "en"}, "field 'text': expected text, its column has int64"),
    (lambda: rows(text=["a"], l=["?!"]), {"fields": Fields(language="l")}, "row 1: field 'l': language tag"),
    (
        translations,
        {"fields": ParallelFields({"translation.en": "en", "translation.fr": "fr"})},
        "no column 'fr'",
    ),
    (
        lambda: Dataset.from_dict(
            {"text": ["a"], "y": [-1]},
            features=Features({"text": Value("string"), "y": ClassLabel(names=["n"])}),
        ),
        {"fields": Fields(label="y"), "language": "en"},
        "row 1: field 'y': expected a class from 0 to 0, got -1",
    ),
]


@pytest.mark.parametrize(("make", "options", "message"), REFUSED)
def test_what_is_refused(make: Callable[[], Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read_datasets(make(), **options))


def test_a_stream_of_csv_knows_its_columns_late(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text('text,lang\n"a, b",en\nc,de\n', encoding="utf-8")
    stream = datasets.load_dataset("csv", data_files=str(path), streaming=True)
    assert texts(read_datasets(stream, Fields(language="lang"))) == [("a, b", "en"), ("c", "de")]
    with pytest.raises(InputError, match="train: no column 'words'"):
        list(read_datasets(stream, Fields("words", language="lang")))


def test_what_is_not_there_is_not_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: str, **options: Any) -> None:
        list(read_dataset_at(path, Fields(), DatasetOptions(**options), language="en", notes=None))

    def asked(*given: Any, **how: Any) -> None:
        raise ConnectionError(f"Couldn't reach {given[0]!r} on the Hub\nat length")

    monkeypatch.setattr(datasets, "load_dataset", asked)
    with pytest.raises(InputError, match="no such file or folder; with --hub it is looked for"):
        read("org/books")
    with pytest.raises(InputError, match=r"cannot be reached: Couldn't reach 'org/books' on the Hub$"):
        read("org/books", hub=True)
    (tmp_path / "a.xml").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="expected a file of"):
        read(str(tmp_path / "a.xml"))
    assert source_name("org/books") == "org--books"
    assert dataset_files("org/books") == []


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": \n', encoding="utf-8")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/state.json").write_text("{}", encoding="utf-8")
    for name in ("a.jsonl", "saved"):
        with pytest.raises(InputError, match=name):
            list(read_dataset_at(str(tmp_path / name), Fields(), DatasetOptions(), language="en", notes=None))


def test_a_saved_dataset_becomes_a_corpus(tmp_path: Path) -> None:
    numbers = [f"number {n}" for n in range(40)]
    parts = {
        name: Dataset.from_dict({"sentence": [f"{name} {one}" for one in numbers]})
        for name in ("train", "test")
    }
    DatasetDict(parts).save_to_disk(str(tmp_path / "books"))
    command = DataImport(
        format="datasets",
        files=(tmp_path / "books",),
        out=tmp_path / "corpus",
        licence="CC0-1.0",
        text_field="sentence",
        language_field="en",
        split=("train",),
    )
    assert command.run_command() == 0
    manifest = Manifest.read(tmp_path / "corpus")
    assert sum(split.total.records for split in manifest.splits.values()) == 40
    assert (manifest.sources[0].name, manifest.sources[0].licence) == ("books", "CC0-1.0")


def test_labelled_texts_come_from_splits_too() -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["pet", "home"])})
    parts = {
        name: Dataset.from_dict({"text": [name, "b"], "label": [0, 1]}, features=features)
        for name in ("train", "validation")
    }
    for given in (
        DatasetDict(parts),
        datasets.IterableDatasetDict({k: v.to_iterable_dataset() for k, v in parts.items()}),
    ):
        for part, first in (("train", "train"), ("dev", "validation")):
            found = _texts(
                given.with_format("numpy") if part == "dev" else given, LabelFields(), "en", part, LeftOut()
            )
            assert [(one.text, one.labels) for one in found] == [(first, ("pet",)), ("b", ("home",))]
        with pytest.raises(
            InputError, match="test: has no split test; give one of its splits: train, validation"
        ):
            _texts(given, LabelFields(), "en", "test", LeftOut())
