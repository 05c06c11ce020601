"""Gzipped JSON lines of records: the text files of a corpus."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from xformer.data.record import Record
from xformer.errors import InputError

_FIELDS = {"text", "language", "group", "source", "id", "label"}


class RecordWriter:
    """Writes records, one per line. The same records give the same bytes: the header has no time and no name.

    Args:
        path: the file to write.
        level: gzip's compression level, 1 (fast) to 9 (small).
    """

    def __init__(self, path: Path, level: int = 6) -> None:
        self._to_json = json.JSONEncoder(ensure_ascii=False).encode
        self._raw = path.open("wb")
        self._file = gzip.GzipFile("", "wb", level, self._raw, mtime=0)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._raw.close()

    def write(self, record: Record) -> None:
        """Append one record, without the fields that are None.

        Raises:
            InputError: a field holds half a surrogate pair, which UTF-8 cannot encode.
        """
        fields = {"text": record.text, "language": record.language, "group": record.group}
        fields |= {"source": record.source}
        optional = {"id": record.id, "label": record.label}
        fields |= {name: value for name, value in optional.items() if value is not None}
        try:
            self._file.write((self._to_json(fields) + "\n").encode())
        except UnicodeEncodeError as error:
            raise InputError(f"{record.source}: expected text that UTF-8 can encode ({error})") from error


def read_records(path: Path) -> Iterator[Record]:
    """Stream the records of a file that `RecordWriter` wrote.

    Raises:
        InputError: a line is not a record, or the file is truncated; the message names file and line.
    """
    number = 0
    try:
        # Lines of bytes end at \n only; in text mode also at \r.
        with gzip.open(path, "rb") as file:
            for line in file:
                number += 1
                yield _read_line(line)
    except (EOFError, OSError, zlib.error, ValueError, TypeError) as error:
        raise InputError(f"{path}: line {number}: expected a record ({error})") from error


def _read_line(line: bytes) -> Record:
    fields = json.loads(line.decode())
    if not isinstance(fields, dict) or not fields.keys() <= _FIELDS:
        raise ValueError(f"expected an object with the fields {', '.join(sorted(_FIELDS))}")
    return Record(**fields)
