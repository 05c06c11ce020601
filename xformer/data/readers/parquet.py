"""Parquet, read with pyarrow (the extra `parquet`), which is imported only when a file is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from xformer.data.readers.fields import Fields, ParallelFields, language_of, row_records
from xformer.data.readers.lines import naming
from xformer.data.record import Record
from xformer.errors import InputError

_ROWS_AT_A_TIME = 1024


def read_parquet(
    path: str | os.PathLike[str], fields: Fields | ParallelFields, *, language: str | None = None
) -> Iterator[Record]:
    """Stream the rows of a Parquet file, of which only the named columns are read.

    Memory is bounded by the file's row groups, which its writer chose.

    Args:
        path: the file.
        fields: which column is what; a dotted name reaches into a struct (`translation.de`).
        language: of every row, where `fields` names no column for it. None: the end of the file's name, as in
            `train.de.parquet`.

    Raises:
        InputError: pyarrow is not installed, the file is not sound Parquet, or a column is missing or of the
            wrong kind; the message names the row, counted from 1.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"{path}: reading Parquet needs pyarrow: pip install 'xformer[parquet]'") from error
    if isinstance(fields, Fields) and fields.language is None:
        language = language_of(path, language, (".parquet",))
    number = 0
    try:
        with naming(path), pyarrow.parquet.ParquetFile(os.fspath(path)) as file:
            there = file.schema_arrow.names
            columns = sorted({name if name in there else name.split(".")[0] for name in fields.names})
            if missing := [name for name in columns if name not in there]:
                raise InputError(f"{path}: no column {missing[0]!r}; there are {', '.join(map(repr, there))}")
            for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    place = f"{os.fspath(path)}: row {number}"
                    yield from row_records(row, fields, language, place, f"{Path(path).name}:{number}")
    except pyarrow.ArrowException as error:
        raise InputError(f"{path}: not a sound Parquet file, after row {number}: {error}") from error
