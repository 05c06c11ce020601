"""The reader of JSON lines: one JSON object per line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from xformer.data.readers.fields import Fields, ParallelFields, Row, records_of_rows
from xformer.data.readers.lines import read_lines
from xformer.data.record import Record
from xformer.errors import InputError


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
    return records_of_rows(_rows(path), path, fields, language, (".jsonl", ".ndjson", ".json"))


def _rows(path: str | os.PathLike[str]) -> Iterator[Row]:
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
