"""Records in a temporary file, and in memory the few numbers that deciding about each record needs."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.data.dedup_keys import DedupKeys, text_hash
from xformer.data.groups import group_hash
from xformer.data.record import Record
from xformer.data.record_file import RecordWriter, read_records


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
