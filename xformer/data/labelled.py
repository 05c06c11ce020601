"""Texts with class labels, from rows: tab-separated values, CSV, JSON lines and Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.csv import csv_rows
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import FilePath, input_errors, uncompressed_name
from xformer.data.readers.parquet import parquet_rows
from xformer.data.readers.rows import Row, field_value, jsonl_rows, language_value, text_field, tsv_rows
from xformer.errors import InputError
from xformer.storage.suggest import did_you_mean

_ENDINGS = (".tsv", ".csv", ".jsonl", ".ndjson", ".json", ".parquet")
_ENOUGH_TEXTS = 50
"""With fewer texts, as many labels as texts, or numbers for texts, are nobody's mistake."""


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text and its labels.

    Attributes:
        text: the text, not blank.
        labels: its labels, sorted; one, unless a text may have several.
        language: BCP-47 tag.
        place: where it stands, for messages: file and line.
    """

    text: str
    labels: tuple[str, ...]
    language: str
    place: str


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


@dataclass
class LeftOut:
    """What was not read: counts by reason."""

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """The counts in words; empty if nothing was left out."""
        return ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.counts.items()))


def read_labelled(
    paths: Sequence[FilePath], fields: LabelFields, left_out: LeftOut | None = None
) -> list[LabelledText]:
    """Read the texts of files, in their order, each with its labels.

    Blank texts are left out, and counted.

    Args:
        paths: plain or compressed files; the end of a name says the format.
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


def check_columns_mean_classes(texts: Sequence[LabelledText], fields: LabelFields) -> None:
    """Check that the columns look like texts and classes, as far as many texts show.

    Raises:
        InputError: nearly each text has a label of its own, nearly all texts are numbers, or all have the
            same label; the message names file and line.
    """
    if not texts:
        raise InputError("expected texts with labels, got none")
    labels = Counter(label for one in texts for label in one.labels)
    if len(labels) < 2:
        only = next(iter(labels), None)
        what = "no label at all" if only is None else f"the label {only!r} alone"
        raise InputError(f"{texts[0].place}: expected at least two classes, found {what} in all texts")
    if len(texts) < _ENOUGH_TEXTS:
        return
    numbers = sum(_is_number(one.text) for one in texts)
    if 2 * numbers > len(texts):
        example = next(one for one in texts if _is_number(one.text))
        raise InputError(
            f"{example.place}: field {fields.text!r}: expected texts, found numbers such as"
            f" {example.text!r} in {numbers:,} of {len(texts):,} rows; is the text in another column?"
        )
    if 2 * len(labels) > len(texts):
        example = texts[0]
        raise InputError(
            f"{example.place}: field {fields.label!r}: expected classes, found {len(labels):,} different"
            f" labels in {len(texts):,} texts, such as {(example.labels or ('',))[0]!r:.60}; is the label"
            " in another column?"
        )


def commonest_labels(texts: Iterable[LabelledText], most: int | None) -> tuple[str, ...]:
    """The labels of texts, sorted; only the `most` commonest ones if that is given, ties by name."""
    counts = Counter(label for one in texts for label in one.labels)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    return tuple(sorted(ranked[:most]))


def keep_labels(
    texts: Iterable[LabelledText], labels: Collection[str], left_out: LeftOut
) -> list[LabelledText]:
    """The texts with at least one of some labels, without other labels; the others are counted."""
    known, kept = set(labels), []
    for one in texts:
        of_these = tuple(label for label in one.labels if label in known)
        if of_these or not one.labels:
            kept.append(one if len(of_these) == len(one.labels) else replace(one, labels=of_these))
        else:
            left_out.counts["with another label"] += 1
    return kept


def require_known_labels(texts: Iterable[LabelledText], labels: Sequence[str]) -> None:
    """Check that texts have no other labels.

    Raises:
        InputError: one has; the message names file, line and label.
    """
    known = set(labels)
    for one in texts:
        for label in one.labels:
            if label not in known:
                some = ", ".join(labels[:12]) + (", …" if len(labels) > 12 else "")
                raise InputError(
                    f"{one.place}: no text of the training files has the label {label!r}"
                    f"{did_you_mean(label, labels) or '.'} They have {some}. --top-labels N leaves out"
                    " all but the N commonest labels of the training files"
                )


def _of_file(path: FilePath, fields: LabelFields, left_out: LeftOut) -> Iterator[LabelledText]:
    notes = ImportNotes()
    rows = _rows(path, fields.names)
    language = None if fields.language else language_of(path, None, _ENDINGS, notes)
    for place, _, row in rows:
        text, labels = text_field(row, fields.text, place), _labels(row, fields, place)
        if not text.strip():
            left_out.counts["without text"] += 1
            continue
        tag = language or language_value(row, str(fields.language), place, notes)
        yield LabelledText(text, labels, tag, place)


def _rows(path: FilePath, needed: Sequence[str]) -> Iterator[Row]:
    ending = Path(uncompressed_name(path)).suffix
    with input_errors(path):
        if Path(path).is_dir():
            raise IsADirectoryError
    if ending == ".tsv":
        return tsv_rows(path, needed)
    if ending == ".csv":
        return csv_rows(path, needed)
    if ending == ".parquet":
        return parquet_rows(path, needed)
    if ending in _ENDINGS:
        return jsonl_rows(path)
    raise InputError(f"{path}: expected a name that ends in {', '.join(_ENDINGS)}, maybe compressed")


def _labels(row: Mapping[str, Any], fields: LabelFields, place: str) -> tuple[str, ...]:
    if fields.separator is None:
        value = field_value(row, fields.label, place, str | int | None, "one label: text or an integer")
        if value is None or not str(value).strip():
            raise InputError(f"{place}: field {fields.label!r}: expected a label, it is empty")
        return (str(value).strip(),)
    expected = "labels: a list, or text"
    value = field_value(row, fields.label, place, str | int | list | None, expected)
    several = value if isinstance(value, list) else str(value or "").split(fields.separator)
    if wrong := [one for one in several if not isinstance(one, str | int)]:
        raise InputError(f"{place}: field {fields.label!r}: expected labels of text, got {wrong[0]!r:.60}")
    return tuple(sorted({name for one in several if (name := str(one).strip())}))


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
