"""A first pass over a corpus: text goes to the disk, a few numbers per record stay in memory."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.data.groups import group_number
from xformer.data.keys import TextKeys, text_number
from xformer.data.record import Record
from xformer.data.record_file import RecordWriter, read_records


class Spool:
    """Records on the disk, and R-long arrays of what deciding about them takes: 30 bytes per record.

    Attributes:
        languages: language tags in the order of their first record.
        language: (R,) uint16, place in `languages`.
        group: (R,) uint64, `group_number` of the record's group.
        key: (R,) uint64, number of (language, key of the text): equal where a reader sees the same text.
        exact: (R,) uint64, number of (language, text up to NFC and spacing): equal where the characters are
            the same.
        chars: (R,) uint32, characters of the text.

    Args:
        path: the file to write them to.
        records: what to write.

    Raises:
        InputError: when a text is one that UTF-8 cannot hold; its source is named.
    """

    def __init__(self, path: Path, records: Iterable[Record]) -> None:
        self._path = path
        tags: dict[str, int] = {}
        language, chars = array("H"), array("I")
        group, key, exact = array("Q"), array("Q"), array("Q")
        make_key = TextKeys()
        with RecordWriter(path, level=1) as writer:
            for record in records:
                writer.write(record)
                tag = record.language
                plain = " ".join(unicodedata.normalize("NFC", record.text).split())
                language.append(tags.setdefault(tag, len(tags)))
                chars.append(len(record.text))
                group.append(group_number(record.group))
                key.append(text_number(tag, make_key(record.text)))
                exact.append(text_number(tag, plain))
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
