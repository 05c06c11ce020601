r"""Rows of named fields: tab-separated values, JSON lines and Parquet."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xformer.data.readers.fields import Fields, ParallelFields, language_of, row_records
from xformer.data.readers.lines import input_errors, read_lines
from xformer.data.record import Record
from xformer.errors import InputError

_ROWS_AT_A_TIME = 1024

Row = tuple[str, int, Mapping[str, Any]]
"""A row's place in error messages, its number in its file, and its fields."""


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
    rows = _tsv_rows(path, fields, columns)
    return _records(rows, path, fields, language, (".tsv", ".txt"))


def read_jsonl(
    path: str | os.PathLike[str], fields: Fields | ParallelFields, *, language: str | None = None
) -> Iterator[Record]:
    """Stream the objects of a plain, `.gz`, `.bz2` or `.xz` file of JSON lines. Blank lines are skipped.

    Args:
        path: the file.
        fields: the meaning of the objects' fields.
        language: of every object, if `fields` names no field for it. None: the end of the file's name, as in
            `train.pt_BR.jsonl.gz`.

    Raises:
        InputError: a line is not a JSON object, or a field is missing or has the wrong type; the message
            names the line and the field.
    """
    return _records(_jsonl_rows(path), path, fields, language, (".jsonl", ".ndjson", ".json"))


def read_parquet(
    path: str | os.PathLike[str], fields: Fields | ParallelFields, *, language: str | None = None
) -> Iterator[Record]:
    """Stream the rows of a Parquet file. Only the named columns are read, with pyarrow (extra `parquet`).

    Memory is bounded by the size of the file's row groups.

    Args:
        path: the file.
        fields: the meaning of the columns; a dotted name is a field of a struct (`translation.de`).
        language: of every row, if `fields` names no column for it. None: the end of the file's name, as in
            `train.de.parquet`.

    Raises:
        InputError: pyarrow is not installed, the file is not valid Parquet, or a column is missing or has the
            wrong type; the message names the row, counted from 1.
    """
    return _records(_parquet_rows(path, fields), path, fields, language, (".parquet",))


def _records(
    rows: Iterable[Row],
    path: str | os.PathLike[str],
    fields: Fields | ParallelFields,
    language: str | None,
    endings: Sequence[str],
) -> Iterator[Record]:
    if isinstance(fields, Fields) and fields.language is None:
        language = language_of(path, language, endings)
    for place, number, row in rows:
        yield from row_records(row, fields, language, place, f"{Path(path).name}:{number}")


def _tsv_rows(
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


def _jsonl_rows(path: str | os.PathLike[str]) -> Iterator[Row]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        place = f"{os.fspath(path)}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: expected a JSON object: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{place}: expected a JSON object, got {line[:60]!r}")
        yield place, number, row


def _parquet_rows(path: str | os.PathLike[str], fields: Fields | ParallelFields) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"{path}: reading Parquet needs pyarrow: pip install 'xformer[parquet]'") from error
    number = 0
    try:
        with input_errors(path), pyarrow.parquet.ParquetFile(os.fspath(path)) as file:
            there = file.schema_arrow.names
            columns = sorted({name if name in there else name.split(".")[0] for name in fields.names})
            if missing := [name for name in columns if name not in there]:
                raise InputError(f"{path}: no column {missing[0]!r}; there are {', '.join(map(repr, there))}")
            for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{os.fspath(path)}: row {number}", number, row
    except pyarrow.ArrowException as error:
        raise InputError(f"{path}: not a valid Parquet file, after row {number}: {error}") from error
