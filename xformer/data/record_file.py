"""Records in files of gzipped JSON lines, and in memory the few numbers that an import needs about each."""

from __future__ import annotations

import gzip
import json
import unicodedata
import zlib
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.data.deduplicate import DedupKeys, text_hash
from xformer.data.groups import group_hash
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
        fields = {name: value for name in _FIELDS if (value := getattr(record, name)) is not None}
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
    if not isinstance(fields, dict):
        raise ValueError(f"expected an object with the fields {', '.join(_FIELDS)}")
    return Record(**fields)  # raises a TypeError for an unknown or a missing field


class RecordIndex:
    """R records in a file, with arrays about them in memory: 30 bytes per record.

    Attributes:
        languages: language tags, in the order of their first record.
        language: (R,) uint16, place in `languages`.
        group: (R,) uint64, `group_hash` of the record's group.
        key: (R,) uint64, hash of language and deduplication key: equal where a reader sees the same text.
        exact: (R,) uint64, hash of language and text after NFC and with single spaces: equal where the
            characters are the same.
        chars: (R,) uint32, characters of the text.

    Args:
        path: the file to write the records to.
        records: the records.

    Raises:
        InputError: a text cannot be written as UTF-8; the message names its source.
    """

    def __init__(self, path: Path, records: Iterable[Record]) -> None:
        self._path = path
        tags: dict[str, int] = {}
        language, chars = array("H"), array("I")
        group, key, exact = array("Q"), array("Q"), array("Q")
        dedup_key = DedupKeys()
        with RecordWriter(path, level=1) as writer:
            for record in records:
                writer.write(record)
                tag = record.language
                plain = " ".join(unicodedata.normalize("NFC", record.text).split())
                language.append(tags.setdefault(tag, len(tags)))
                chars.append(len(record.text))
                group.append(group_hash(record.group))
                key.append(text_hash(tag, dedup_key(record.text)))
                exact.append(text_hash(tag, plain))
        self.languages = tuple(tags)
        self.language: NDArray[np.uint16] = np.array(language)
        self.chars: NDArray[np.uint32] = np.array(chars)
        self.group: NDArray[np.uint64] = np.array(group)
        self.key: NDArray[np.uint64] = np.array(key)
        self.exact: NDArray[np.uint64] = np.array(exact)

    def __len__(self) -> int:
        return len(self.group)

    def __iter__(self) -> Iterator[Record]:
        """Read the records again, in order."""
        return read_records(self._path)
