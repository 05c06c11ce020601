"""The reader of Parquet. It imports pyarrow (the extra `parquet`) when a file is read."""

from __future__ import annotations

import os
from collections.abc import Iterator

from xformer.data.readers.fields import Fields, ParallelFields, Row, records_of_rows
from xformer.data.readers.lines import input_errors
from xformer.data.record import Record
from xformer.errors import InputError

_ROWS_AT_A_TIME = 1024


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
    return records_of_rows(_rows(path, fields), path, fields, language, (".parquet",))


def _rows(path: str | os.PathLike[str], fields: Fields | ParallelFields) -> Iterator[Row]:
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
