"""Texts with class labels, from rows: tab-separated values, CSV, JSON lines, Parquet, saved `datasets`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.labelled.examples import LabelledText, LeftOut
from xformer.data.labelled.rows import language_of_name, one_label, rows_of, several_labels
from xformer.data.readers.arrow import with_class_names
from xformer.data.readers.lines import FilePath
from xformer.data.readers.rows import Row, language_value, text_field
from xformer.errors import InputError


@dataclass(frozen=True, slots=True)
class LabelFields:
    """Which fields of a row have the text and its labels.

    Attributes:
        text: the field with the text; in a file without header, the number of its column, from 1.
        label: the field with the label or labels.
        language: the field with the language tag; None: the end of the file's name says it, as in
            `train.de.tsv`.
        separator: what stands between the labels of a text, where it may have several; None: a text has
            exactly one label, whatever characters are in it.
    """

    text: str = "text"
    label: str = "label"
    language: str | None = None
    separator: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(name for name in (self.text, self.label, self.language) if name is not None)


def read_labelled(
    paths: Sequence[FilePath], fields: LabelFields, left_out: LeftOut | None = None
) -> list[LabelledText]:
    """Read the texts of files, in their order, each with its labels.

    Blank texts are left out, and counted.

    Args:
        paths: plain or compressed files, whose names' ends say the format, or folders that `datasets` saved.
        fields: what the rows have.
        left_out: counts what is left out.

    Raises:
        InputError: a file is damaged or of another kind, its language is not known, a row lacks a field, a
            text has no label, or a file has no text; the message names file and line.
    """
    found: list[LabelledText] = []
    for path in paths:
        before = len(found)
        found += _of_file(path, fields, left_out or LeftOut())
        if len(found) == before:
            raise InputError(f"{path}: expected texts with labels, found none")
    return found


def label_rows(
    rows: Iterable[Any], fields: LabelFields, language: str | None, name: str, left_out: LeftOut | None = None
) -> list[LabelledText]:
    """The texts of rows that are in memory, each with its labels.

    Args:
        rows: mappings with the fields, such as a `datasets.Dataset`, whose classes keep their names; or pairs
            of a text and its label or labels.
        fields: what the rows have.
        language: of all rows, unless `fields` names a field with it.
        name: of the rows, for messages: the third is `name[2]`.
        left_out: counts what is left out.

    Raises:
        InputError: as `read_labelled`, or no language is known.
    """
    notes = ImportNotes()
    if fields.language is None and language is None:
        raise InputError(f"{name}: expected its language, or the field that has it (language_field)")
    tag = None if fields.language or language is None else notes.normalize(language)
    found = list(_labelled(_rows_in_memory(rows, fields, name), fields, tag, notes, left_out or LeftOut()))
    if not found:
        raise InputError(f"{name}: expected texts with labels, found none")
    return found


def _rows_in_memory(rows: Iterable[Any], fields: LabelFields, name: str) -> Iterator[Row]:
    rows = rows.with_format(None) if hasattr(rows, "with_format") else rows  # not tensors
    features = getattr(rows, "features", None) or {}
    names = {field: of_class for field in features if (of_class := _class_names(features[field]))}
    for number, row in enumerate(rows):
        place = f"{name}[{number}]"
        if isinstance(row, Mapping):
            yield place, number, with_class_names(dict(row), names, place)
        elif isinstance(row, tuple | list) and len(row) == 2:
            labels = list(row[1]) if isinstance(row[1], tuple | set | frozenset) else row[1]
            yield place, number, {fields.text: row[0], fields.label: labels}
        else:
            raise InputError(f"{place}: expected a row with fields, or a text and its label, got {row!r:.60}")


def _class_names(feature: Any) -> list[str]:
    """The names of a feature of `datasets` with classes, or of a list of such; none of another."""
    names = getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None)
    return list(names or ())


def _of_file(path: FilePath, fields: LabelFields, left_out: LeftOut) -> Iterator[LabelledText]:
    notes, rows = ImportNotes(), rows_of(path, fields.names)
    language = None if fields.language else language_of_name(path, notes)
    return _labelled(rows, fields, language, notes, left_out)


def _labelled(
    rows: Iterable[Row], fields: LabelFields, language: str | None, notes: ImportNotes, left_out: LeftOut
) -> Iterator[LabelledText]:
    for place, _, row in rows:
        text = text_field(row, fields.text, place)
        if fields.separator is None:
            labels: tuple[str, ...] = one_label(row, fields.label, place)
        else:
            labels = several_labels(row, fields.label, fields.separator, place)
        if not text.strip():
            left_out.counts["without text"] += 1
            continue
        tag = language or language_value(row, str(fields.language), place, notes)
        yield LabelledText(text, labels, tag, place)
