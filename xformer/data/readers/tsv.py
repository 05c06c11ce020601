"""The reader of tab-separated values."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from xformer.data.readers.fields import Fields, ParallelFields, Row, records_of_rows
from xformer.data.readers.lines import read_lines
from xformer.data.record import Record
from xformer.errors import InputError


def read_tsv(
    path: str | os.PathLike[str],
    fields: Fields | ParallelFields,
    *,
    language: str | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[Record]:
    r"""Stream the rows of a plain, `.gz`, `.bz2` or `.xz` file of tab-separated values.

    There is no quoting and no escaping: quotation marks and backslashes are text, and a tab always separates
    fields. Blank lines are skipped.

    Args:
        path: the file.
        fields: the meaning of the columns.
        language: of every row, if `fields` names no column for it. None: the end of the file's name, as in
            `train.de.tsv`.
        columns: the names of the columns, for a file without a header. None: the first line is the header.

    Raises:
        InputError: a column is missing or has the name of another, or a row has more or fewer fields than
            there are columns; the message names the line.
    """
    rows = _rows(path, fields, columns)
    return records_of_rows(rows, path, fields, language, (".tsv", ".txt"))


def _rows(
    path: str | os.PathLike[str], fields: Fields | ParallelFields, columns: Sequence[str] | None
) -> Iterator[Row]:
    names = None if columns is None else _check_columns(list(columns), fields, os.fspath(path))
    for number, line in enumerate(read_lines(path), 1):
        place = f"{os.fspath(path)}:{number}"
        if not line.strip():
            continue
        values = line.split("\t")
        if names is None:
            names = _check_columns(values, fields, place)
            continue
        if len(values) != len(names):
            raise InputError(f"{place}: expected {len(names)} fields between tabs, got {len(values)}")
        yield place, number, dict(zip(names, values, strict=True))


def _check_columns(names: list[str], fields: Fields | ParallelFields, place: str) -> list[str]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{place}: expected columns of different names, got {twice[0]!r} twice")
    if missing := [name for name in fields.names if name not in names]:
        raise InputError(f"{place}: no column {missing[0]!r}; there are {', '.join(map(repr, names))}")
    return names
