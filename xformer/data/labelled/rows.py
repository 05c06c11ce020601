"""Rows of labelled files: their fields, their labels and their languages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.labelled.examples import joined_languages
from xformer.data.readers.arrow import (
    arrow_rows,
    dataset_name,
    is_saved_dataset,
    saved_dataset_rows,
    splits_of,
)
from xformer.data.readers.csv import csv_rows
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import FilePath, input_errors, uncompressed_name
from xformer.data.readers.parquet import parquet_rows
from xformer.data.readers.rows import Row, field_value, jsonl_rows, tsv_rows
from xformer.errors import InputError

ENDINGS = (".tsv", ".csv", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow")

_TWO_LANGUAGES = re.compile(r"([a-z]{2,3}(?:_[A-Za-z0-9]{2,8})*)[-+]([a-z]{2,3}(?:_[A-Za-z0-9]{2,8})*)")


def ending_of(path: FilePath) -> str:
    """The end of a file's name that says its format, without that of a compression."""
    return Path(uncompressed_name(path)).suffix


def rows_of(path: FilePath, needed: Sequence[str]) -> Iterator[Row]:
    """Stream the rows of a file, or of a folder that `datasets` saved, with `needed` columns in it.

    Raises:
        InputError: its name says no format, or as the reader of the format.
    """
    if is_saved_dataset(path):
        return saved_dataset_rows(path, needed)
    require_file(path)
    ending = ending_of(path)
    if ending == ".tsv":
        return tsv_rows(path, needed)
    if ending == ".csv":
        return csv_rows(path, needed)
    if ending == ".parquet":
        return parquet_rows(path, needed)
    if ending == ".arrow":
        return arrow_rows(path, needed)
    if ending in ENDINGS:
        return jsonl_rows(path)
    raise InputError(f"{path}: expected a name that ends in {', '.join(ENDINGS)}, maybe compressed")


def require_file(path: FilePath) -> None:
    """Raise an `InputError` if the path is a folder, or is not there."""
    there = splits_of(Path(path).parent)
    if there and not Path(path).exists():
        raise InputError(f"{path}: no such split; {Path(path).parent} has {', '.join(there)}")
    with input_errors(path):
        Path(path).stat()
    if not Path(path).is_dir():
        return
    if splits := splits_of(path):
        names = ", ".join(str(Path(path) / name) for name in splits)
        raise InputError(f"{path}: has several splits; name one: {names}")
    raise InputError(
        f"{path}: expected a file, this is a folder; a folder that `datasets` saved has a state.json"
    )


def language_of_name(path: FilePath, notes: ImportNotes) -> str:
    """The language that the end of a file's name says; of a saved dataset, that of the folder's.

    Raises:
        InputError: it says none.
    """
    name = dataset_name(path)
    try:
        return language_of(name, None, ENDINGS, notes)
    except InputError as error:
        example = f"{Path(name).name.partition('.')[0]}.en{ending_of(name) if Path(path).is_file() else ''}"
        raise InputError(
            f"{path}: its name does not give the language: expected an end such as {example!r}, or"
            " --language-field, the field that has it"
        ) from error


def one_label(row: Mapping[str, Any], name: str, place: str) -> tuple[str]:
    """The label in a field.

    Raises:
        InputError: there is no such field, or it is empty, or neither text nor an integer.
    """
    value = field_value(row, name, place, str | int | list | None, "one label: text or an integer")
    if isinstance(value, list):
        raise InputError(
            f"{place}: field {name!r}: expected one label: text or an integer, got {value!r:.60}; with"
            " --multi-label a text may have several"
        )
    if value is None or not str(value).strip():
        raise InputError(f"{place}: field {name!r}: expected a label, it is empty")
    return (str(value).strip(),)


def several_labels(row: Mapping[str, Any], name: str, separator: str, place: str) -> tuple[str, ...]:
    """The labels in a field, sorted: a list, or text with a separator between them.

    Raises:
        InputError: there is no such field, or a label is neither text nor an integer.
    """
    value = field_value(row, name, place, str | int | list | None, "labels: a list, or text")
    several = value if isinstance(value, list) else str(value or "").split(separator)
    if wrong := [one for one in several if not isinstance(one, str | int)]:
        raise InputError(f"{place}: field {name!r}: expected labels of text, got {wrong[0]!r:.60}")
    return tuple(sorted({text for one in several if (text := str(one).strip())}))


def two_languages_of(path: FilePath, notes: ImportNotes) -> tuple[str, str]:
    """The languages of the texts of a pair, from the end of the file's name: `test.en-de.tsv`.

    Regions stand behind `_`: `test.pt_BR-en.tsv`. One language alone is that of both.

    Raises:
        InputError: the name says no language.
    """
    name = uncompressed_name(dataset_name(path))
    stem = name.removesuffix(ending_of(name)) if ending_of(name) in ENDINGS else name
    if match := _TWO_LANGUAGES.fullmatch(stem.rpartition(".")[2]):
        return notes.normalize(match[1]), notes.normalize(match[2])
    try:
        language = language_of(name, None, ENDINGS, notes)
    except InputError as error:
        raise InputError(
            f"{path}: the file's name does not give the languages of the two texts: expected an end such as"
            f" '.en-de{ending_of(path)}', or --language-field and --language-pair-field"
        ) from error
    return language, language


def mixed_language(tags: str, place: str, notes: ImportNotes) -> str:
    """The languages of a text that may be in several, with `+` between, each normalised.

    Raises:
        InputError: one is no tag.
    """
    try:
        return joined_languages(tuple(notes.normalize(tag) for tag in tags.split("+")))
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
