"""Texts with class labels, from rows: tab-separated values, CSV, JSON lines, Parquet, saved `datasets`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xformer.data.import_notes import ImportNotes
from xformer.data.labelled.examples import LabelledText, LeftOut
from xformer.data.labelled.rows import language_of_name, one_label, rows_of, several_labels
from xformer.data.readers.lines import FilePath
from xformer.data.readers.rows import language_value, text_field
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


def _of_file(path: FilePath, fields: LabelFields, left_out: LeftOut) -> Iterator[LabelledText]:
    notes = ImportNotes()
    rows = rows_of(path, fields.names)
    language = None if fields.language else language_of_name(path, notes)
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
