"""Records in files of gzipped JSON lines."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring as quoted
from pathlib import Path

from xformer.data.batches import Batch
from xformer.data.record import Record
from xformer.errors import InputError

_FIELDS = ("text", "language", "group", "source", "id", "label")


class RecordWriter:
    """Writes records, one per line. The same records give the same bytes: the header has no time and no name.

    Args:
        path: the file to write.
        level: gzip's compression level, 1 (fast) to 9 (small).
    """

    def __init__(self, path: Path, level: int = 6) -> None:
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
        require_utf8(Batch.of([record]))
        self.write_lines(lines_of(Batch.of([record]), [0]))

    def write_lines(self, lines: bytes) -> None:
        """Append records that `lines_of` has encoded."""
        self._file.write(lines)


def lines_of(batch: Batch, places: Sequence[int]) -> bytes:
    """Some records of a batch, each as a JSON object in a line, without the fields that are None."""
    text, language, group, source, label = batch.text, batch.language, batch.group, batch.source, batch.label
    lines = []
    for place in places:
        line = (
            f'{{"text": {quoted(text[place])}, "language": {quoted(language[place])},'
            f' "group": {quoted(group[place])}, "source": {quoted(source[place])}'
        )
        if (name := batch.id[place]) is not None:
            line += f', "id": {quoted(name)}'
        if (value := label[place]) is not None:
            line += f', "label": {quoted(value)}'
        lines.append(line)
    return ("}\n".join(lines) + "}\n").encode() if lines else b""


def require_utf8(batch: Batch) -> None:
    """Check that all records can be written.

    Raises:
        InputError: a field holds half a surrogate pair, which UTF-8 cannot encode; the message names the
            source of the record.
    """
    fields = [getattr(batch, name) for name in _FIELDS]
    try:
        for values in fields:
            "".join([value for value in values if value is not None]).encode()
    except UnicodeEncodeError:
        for record in zip(*fields, strict=True):
            for value in record:
                try:
                    (value or "").encode()
                except UnicodeEncodeError as error:
                    source = record[_FIELDS.index("source")]
                    raise InputError(f"{source}: expected text that UTF-8 can encode ({error})") from error


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
    if not isinstance(fields, dict):
        raise ValueError(f"expected an object with the fields {', '.join(_FIELDS)}")
    return Record(**fields)  # raises a TypeError for an unknown or a missing field
