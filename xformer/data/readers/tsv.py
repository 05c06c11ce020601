r"""Tab-separated values: one row a line, fields between tabs, no quoting and no escapes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from xformer.data.readers.fields import Fields, ParallelFields, language_of, row_records
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

    Quotation marks and backslashes are text; a tab always separates. Blank lines are passed over.

    Args:
        path: the file.
        fields: which column is what.
        language: of every row, where `fields` names no column for it. None: the end of the file's name, as in
            `train.de.tsv`.
        columns: the columns' names, for a file without a header. None: its first line has them.

    Raises:
        InputError: a column is missing or named twice, or a row has more or fewer fields than columns; the
            message names the line.
    """
    if isinstance(fields, Fields) and fields.language is None:
        language = language_of(path, language, (".tsv", ".txt"))
    names = None if columns is None else _check(list(columns), fields, os.fspath(path))
    for number, line in enumerate(read_lines(path), 1):
        place = f"{os.fspath(path)}:{number}"
        if not line.strip():
            continue
        values = line.split("\t")
        if names is None:
            names = _check(values, fields, place)
            continue
        if len(values) != len(names):
            raise InputError(f"{place}: expected {len(names)} fields between tabs, got {len(values)}")
        row = dict(zip(names, values, strict=True))
        yield from row_records(row, fields, language, place, f"{Path(path).name}:{number}")


def _check(names: list[str], fields: Fields | ParallelFields, place: str) -> list[str]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{place}: expected columns of different names, got {twice[0]!r} twice")
    if missing := [name for name in fields.names if name not in names]:
        raise InputError(f"{place}: no column {missing[0]!r}; there are {', '.join(map(repr, names))}")
    return names
