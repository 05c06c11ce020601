"""The readers of rows with named fields: tab-separated values and JSON lines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import FilePath, read_lines
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

_COLUMN_NUMBER = re.compile(r"[1-9][0-9]{0,4}")

Row = tuple[str, int, Mapping[str, Any]]
"""A row: its place in error messages, its number in the file, and its fields."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of the fields in rows with one text each.

    A dotted name is a nested field: `translation.de`.

    Attributes:
        text: the text.
        language: its language tag. None: the reader's `language`, or the file's name, gives it for all rows.
        group: rows with equal values say the same thing. None: rows with equal texts are a group.
        id: the row's name in its source.
        label: its class label.
    """

    text: str = "text"
    language: str | None = None
    group: str | None = None
    id: str | None = None
    label: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all fields."""
        return _named(self.text, self.language, self.group, self.id, self.label)


@dataclass(frozen=True, slots=True)
class ParallelFields:
    """The names of the fields in rows with one text in several languages.

    Attributes:
        texts: language tag of each text field, for at least two fields.
        group: as in `Fields`. None: rows in which all texts are equal are a group.
        id: the row's name in its source.
        label: its class label.
    """

    texts: Mapping[str, str]
    group: str | None = None
    id: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if len(self.texts) < 2:
            raise ValueError(f"ParallelFields.texts: expected two fields or more, got {dict(self.texts)!r}")
        tags = {field: normalize_language(tag) for field, tag in self.texts.items()}
        object.__setattr__(self, "texts", tags)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all fields."""
        return _named(*self.texts, self.group, self.id, self.label)


RowFields = Fields | ParallelFields


def read_tsv(
    path: FilePath,
    fields: RowFields,
    *,
    language: str | None = None,
    columns: Sequence[str] | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    r"""Stream the rows of a plain, `.gz`, `.bz2` or `.xz` file of tab-separated values.

    There is no quoting and no escaping: quotation marks and backslashes are text, and a tab always separates
    fields. Blank lines are skipped. Where `fields` has numbers (`Fields("2")`) and the first line no columns
    of these names, there is no header: columns are numbered from 1.

    Args:
        path: the file.
        fields: the meaning of the columns.
        language: of every row, if `fields` names no column for it. None: the end of the file's name, as in
            `train.de.tsv`.
        columns: the names of the columns, for a file without a header. None: the first line is the header.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a column is missing or has the name of another, or a row has more or fewer fields than
            there are columns; the message names the line.
    """
    return records_of_rows(
        tsv_rows(path, fields.names, columns), path, fields, language, (".tsv", ".txt"), notes
    )


def tsv_rows(
    path: FilePath,
    needed: Sequence[str],
    columns: Sequence[str] | None = None,
    lines: Iterable[str] | None = None,
) -> Iterator[Row]:
    """Stream the rows of a file of tab-separated values, as `read_tsv` does, with `needed` columns in it.

    `lines` are those of the file where it is not opened by name, as standard input.
    """
    names = None if columns is None else check_columns(list(columns), needed, os.fspath(path))
    for place, number, line in _filled_lines(path, lines):
        values = line.split("\t")
        if names is None and (numbered := numbered_columns(values, needed, place)):
            names = numbered
        elif names is None:
            if "\t" not in line and ("," in line or ";" in line):
                raise InputError(f"{place}: expected names of columns between tabs, got CSV: {line[:60]!r}")
            names = check_columns(values, needed, place)
            continue
        if len(values) != len(names):
            raise InputError(f"{place}: expected {len(names)} fields between tabs, got {len(values)}")
        yield place, number, dict(zip(names, values, strict=True))


def numbered_columns(first: Sequence[str], needed: Sequence[str], place: str) -> list[str] | None:
    """Names for the columns of a table without header: their numbers, from 1; None if it has a header.

    Args:
        first: the fields of its first row.
        needed: the names that are asked for. If all are numbers and some are not in the row, it is no header.
        place: of the row, for error messages.

    Raises:
        InputError: there are fewer columns.
    """
    if set(needed) <= set(first) or not all(_COLUMN_NUMBER.fullmatch(name) for name in needed):
        return None
    if missing := [name for name in needed if int(name) > len(first)]:
        raise InputError(f"{place}: no column {missing[0]}; there are {len(first)}")
    return [str(number) for number in range(1, len(first) + 1)]


def check_columns(names: list[str], needed: Sequence[str], place: str) -> list[str]:
    """The names of a table's columns.

    Raises:
        InputError: two columns have one name, or one of the `needed` is missing.
    """
    refuse_repeated(names, "columns", place)
    try:
        require_columns(needed, names, place)
    except InputError as error:
        if set(needed) & set(names):
            raise
        raise InputError(f"{error}. Without a header, columns have numbers: 1 to {len(names)}") from error
    return names


def refuse_repeated(names: Sequence[str], what: str, place: str) -> None:
    """Raise an `InputError` if two of the names of a table's `what` are equal."""
    if len(set(names)) < len(names):
        twice = next(name for name in sorted(names) if names.count(name) > 1)
        raise InputError(f"{place}: expected {what} of different names, got {twice!r} twice")


def read_jsonl(
    path: FilePath, fields: RowFields, *, language: str | None = None, notes: ImportNotes | None = None
) -> Iterator[Record]:
    """Stream the objects of a plain, `.gz`, `.bz2` or `.xz` file of JSON lines. Blank lines are skipped.

    Args:
        path: the file.
        fields: the meaning of the objects' fields.
        language: of every object, if `fields` names no field for it. None: the end of the file's name, as in
            `train.pt_BR.jsonl.gz`.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a line is not a JSON object, has two fields of one name, or a field is missing or has the
            wrong type; the message names the line and the field.
    """
    return records_of_rows(jsonl_rows(path), path, fields, language, (".jsonl", ".ndjson", ".json"), notes)


def jsonl_rows(path: FilePath, lines: Iterable[str] | None = None) -> Iterator[Row]:
    """Stream the objects of a file of JSON lines, as `read_jsonl` does; `lines` as for `tsv_rows`."""
    place = ""

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            refuse_repeated([name for name, _ in pairs], "fields", place)
        return found

    for place, number, line in _filled_lines(path, lines):
        if line.lstrip().startswith("["):
            raise InputError(f"{place}: expected a JSON object in each line, got a list: {line[:60]!r}")
        try:
            row = json.loads(line, object_pairs_hook=as_dict)
        except InputError:
            raise
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: expected a JSON object: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{place}: expected a JSON object, got {line[:60]!r}")
        yield place, number, row


def _filled_lines(path: FilePath, lines: Iterable[str] | None = None) -> Iterator[tuple[str, int, str]]:
    """The lines that are not blank: the place for error messages, the number and the text of each."""
    for number, line in enumerate(read_lines(path) if lines is None else lines, 1):
        if line.strip():
            yield f"{os.fspath(path)}:{number}", number, line


def require_columns(names: Iterable[str], there: Collection[str], place: str) -> None:
    """Raise an `InputError` if one of the names is not there."""
    if missing := [name for name in names if name not in there]:
        raise InputError(f"{place}: no column {missing[0]!r}; there are {', '.join(map(repr, there))}")


def records_of_rows(
    rows: Iterable[Row],
    path: FilePath,
    fields: RowFields,
    language: str | None,
    endings: Sequence[str],
    notes: ImportNotes | None,
) -> Iterator[Record]:
    """Stream the records of the rows of a file; `language` and `endings` are as for `language_of`."""
    notes = notes or ImportNotes()
    if isinstance(fields, Fields) and fields.language is None:
        language = language_of(path, language, endings, notes)
    for place, number, row in rows:
        yield from _row_records(row, fields, language, place, f"{Path(path).name}:{number}", notes)


def _row_records(
    row: Mapping[str, Any],
    fields: RowFields,
    language: str | None,
    place: str,
    source: str,
    notes: ImportNotes,
) -> Iterator[Record]:
    """The records of one row. A text that is null or blank yields no record."""
    if isinstance(fields, Fields):
        if fields.language is not None:
            language = language_value(row, fields.language, place, notes)
        assert language is not None
        texts = [(text_field(row, fields.text, place), language)]
    else:
        texts = [(text_field(row, name, place), tag) for name, tag in fields.texts.items()]
    filled = [(text, tag) for text, tag in texts if text.strip()]
    if len(filled) < len(texts):
        for text, tag in texts:
            if not text.strip():
                notes.leave_out("no text", tag, "", source)
    if not filled:
        return
    group = _name(row, fields.group, place) or content_group(*(text for text, _ in texts))
    identity, label = _name(row, fields.id, place), _name(row, fields.label, place)
    for text, tag in filled:
        yield Record(text, tag, group, source, identity, label)


def _named(*names: str | None) -> tuple[str, ...]:
    return tuple(name for name in names if name is not None)


def field_value(row: Mapping[str, Any], name: str, place: str, kinds: Any, expected: str) -> Any:
    """The value of a field, which has one of the types `kinds`; a dotted name is a nested field.

    Raises:
        InputError: there is no such field, or its value is of another type than `expected` says.
    """
    value: Any = row
    for part in [name] if name in row else name.split("."):
        if value is None:  # what has the field is null: so is the field
            break
        if not isinstance(value, Mapping) or part not in value:
            raise InputError(f"{place}: no field {name!r}; there are {', '.join(map(repr, row)) or 'none'}")
        value = value[part]
    if not isinstance(value, kinds):
        raise InputError(f"{place}: field {name!r}: expected {expected}, got {value!r:.60}")
    return value


def text_field(row: Mapping[str, Any], name: str, place: str) -> str:
    """The text in a field of a row; "" if it is null.

    Raises:
        InputError: there is no such field, it is not text, or it has half of a surrogate pair.
    """
    text: str = field_value(row, name, place, str | None, "text") or ""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{place}: field {name!r}: half of a surrogate pair is not a character") from error
    return text


def _name(row: Mapping[str, Any], name: str | None, place: str) -> str | None:
    """A group, an id or a label: text or an integer; None if it is null or empty."""
    value = None if name is None else field_value(row, name, place, str | int | None, "text or an integer")
    return None if value is None or value == "" else str(value)


def language_value(row: Mapping[str, Any], name: str, place: str, notes: ImportNotes) -> str:
    """The language tag in a field of a row, normalised.

    Raises:
        InputError: there is no such field, or it is no tag.
    """
    tag = field_value(row, name, place, str, "a language tag")
    try:
        return notes.normalize(tag)
    except InputError as error:
        raise InputError(f"{place}: field {name!r}: {error}") from error
