"""The reader of Parquet, with pyarrow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.arrow import class_names, with_class_names
from xformer.data.readers.lines import FilePath, input_errors
from xformer.data.readers.rows import Row, RowFields, records_of_rows, refuse_repeated, require_columns
from xformer.data.record import Record
from xformer.errors import InputError

_ROWS_AT_A_TIME = 1024
# What pyarrow raises for text that is not UTF-8, and for times beyond Python's years or finer than its own.
_NO_PYTHON_VALUE = (ValueError, OverflowError)


def read_parquet(
    path: FilePath, fields: RowFields, *, language: str | None = None, notes: ImportNotes | None = None
) -> Iterator[Record]:
    """Stream the rows of a Parquet file. Only the named columns are read, with pyarrow (extra `parquet`).

    Memory is bounded by the size of the file's row groups.

    Args:
        path: the file.
        fields: the meaning of the columns; a dotted name is a field of a struct (`translation.de`).
        language: of every row, if `fields` names no column for it. None: the end of the file's name, as in
            `train.de.parquet`.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: pyarrow is not installed, the file is not valid Parquet, or a column is missing, has the
            name of another, the wrong type or text that is not UTF-8; the message names the row, counted
            from 1.
    """
    return records_of_rows(parquet_rows(path, fields.names), path, fields, language, (".parquet",), notes)


def parquet_rows(path: FilePath, needed: Sequence[str]) -> Iterator[Row]:
    """Stream the rows of a Parquet file, as `read_parquet` does; only the `needed` columns are read.

    A column of numbers that has names of classes beside it, as `datasets` writes them, has the names.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"{path}: reading Parquet needs pyarrow: pip install 'xformer[parquet]'") from error
    number = 0
    try:
        with input_errors(path), pyarrow.parquet.ParquetFile(os.fspath(path)) as file:
            there = file.schema_arrow.names
            for path_of_group, field_names in _groups_of_fields(file.schema_arrow):
                refuse_repeated(field_names, f"columns{path_of_group}", os.fspath(path))
            columns = sorted({name if name in there else name.split(".")[0] for name in needed})
            require_columns(columns, there, os.fspath(path))
            names = class_names(file.schema_arrow.metadata)
            for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=columns):
                for row in _as_rows(batch, needed, os.fspath(path), number):
                    number += 1
                    place = f"{os.fspath(path)}: row {number}"
                    yield place, number, with_class_names(row, names, place)
    except pyarrow.ArrowException as error:
        raise InputError(f"{path}: not a valid Parquet file, after row {number}: {error}") from error


def _groups_of_fields(schema: Any, above: str = "") -> Iterator[tuple[str, list[str]]]:
    """The names of a Parquet file's columns, and of the fields of each struct in it, with where they are."""
    yield above, [field.name for field in schema]
    for field in schema:
        if str(field.type).startswith("struct"):
            children = [field.type.field(place) for place in range(field.type.num_fields)]
            yield from _groups_of_fields(children, f"{above or ' of'} {field.name}")


def _as_rows(batch: Any, needed: Sequence[str], path: str, before: int) -> Iterator[dict[str, Any]]:
    """The rows of a batch. One that Python cannot hold is an error at its place, after the rows before it.

    Raises:
        InputError: text is not UTF-8, or a time is outside of Python's.
    """
    try:
        rows = batch.to_pylist()
    except _NO_PYTHON_VALUE:
        rows = None
    if rows is not None:
        yield from rows
        return
    for place in range(batch.num_rows):
        row = {}
        for column in batch.schema.names:
            value = batch.column(column)[place]
            try:
                row[column] = value.as_py()
            except _NO_PYTHON_VALUE as error:
                expected = (
                    "UTF-8" if isinstance(error, UnicodeError) else f"text or an integer, got {value.type}"
                )
                name = next((name for name in needed if name.split(".")[0] == column), column)
                raise InputError(
                    f"{path}: row {before + place + 1}: field {name!r}: expected {expected}"
                ) from error
        yield row
