"""The records of an import: on the disk until it is known where they go, with a few numbers about each."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.data.background import Background
from xformer.data.batches import Batch
from xformer.data.counter_rng import fold_in
from xformer.data.packed_batch import packed, unpacked
from xformer.data.plain_texts import plain_texts
from xformer.data.record_file import require_utf8


class RecordIndex:
    """R records in a temporary file, with arrays about them in memory: 30 bytes per record.

    The file is of this process only. It has for each batch its keys and its records, compressed by
    themselves: of what it reads again, an import needs mostly the keys.

    Attributes:
        languages: language tags, in the order of their first record.
        language: (R,) uint16, place in `languages`.
        group: (R,) uint64, `group_hash` of the record's group.
        key: (R,) uint64, hash of language and deduplication key: equal where a reader sees the same text.
        exact: (R,) uint64, hash of language and text after NFC and with single spaces: equal where the
            characters are the same. Both hashes differ from process to process, as Python's do.
        chars: (R,) uint32, characters of the text.

    Args:
        path: the file to write the records to.
        batches: the records, with their deduplication keys.

    Raises:
        InputError: a text cannot be written as UTF-8; the message names its source.
    """

    def __init__(self, path: Path, batches: Iterable[tuple[Batch, list[str]]]) -> None:
        self._path = path
        self._blocks: list[tuple[int, int, int]] = []  # first row, bytes of keys, bytes of records
        tags: dict[str, int] = {}
        language, chars = array("H"), array("I")
        group, key, exact = array("Q"), array("Q"), array("Q")
        with path.open("wb") as file, Background() as background:

            def write(first: int, keys: str, records: bytes) -> None:
                parts = [zlib.compress(part, 1) for part in (keys.encode(), records)]
                self._blocks.append((first, len(parts[0]), len(parts[1])))
                file.writelines(parts)

            for batch, keys in batches:
                if not len(batch):
                    continue
                try:
                    records = packed(batch)
                except UnicodeEncodeError:
                    require_utf8(batch)  # says where it is
                    raise
                background(write, len(chars), "\n".join(keys), records)
                for tag in dict.fromkeys(batch.language):
                    tags.setdefault(tag, len(tags))
                numbers = array("H", map(tags.__getitem__, batch.language))
                language += numbers
                chars.extend(map(len, batch.text))
                digest_of = {name: _digest(name) for name in dict.fromkeys(batch.group)}
                group.frombytes(b"".join(map(digest_of.__getitem__, batch.group)))
                key.frombytes(_hashes(keys, numbers).tobytes())
                exact.frombytes(_hashes(plain_texts(batch.text), numbers).tobytes())
        self.languages = tuple(tags)
        self.language: NDArray[np.uint16] = np.asarray(language)
        self.chars: NDArray[np.uint32] = np.asarray(chars)
        self.group: NDArray[np.uint64] = np.asarray(group) >> np.uint64(1)
        self.key: NDArray[np.uint64] = np.asarray(key)
        self.exact: NDArray[np.uint64] = np.asarray(exact)

    def __len__(self) -> int:
        return len(self.group)

    def keys(self, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, list[str]]]:
        """Read keys again, in order: of each batch that has a wanted record, its first row and all its keys.

        Args:
            wanted: (R,) the records.
        """
        for first, keys, _ in self._read(wanted, keys=True, records=False):
            yield first, zlib.decompress(keys).decode().split("\n")

    def batches(self, wanted: NDArray[np.bool_] | None = None) -> Iterator[tuple[int, Batch]]:
        """Read records again, in order: of each batch that has a wanted record, its first row and all of it.

        Args:
            wanted: (R,) the records; None for all.
        """
        starts = [first for first, _, _ in self._blocks]
        ends = dict(pairwise([*starts, len(self)]))
        for first, _, records in self._read(wanted, keys=False, records=True):
            data = zlib.decompress(records)
            numbers = self.language[first : ends[first]].tolist()
            yield first, unpacked(data, [self.languages[number] for number in numbers])

    def with_keys(self) -> Iterator[tuple[int, Batch, list[str]]]:
        """Read all records again, in order: of each batch its first row, and its keys."""
        keys = self.keys(np.ones(len(self), dtype=np.bool_))
        for (first, batch), (_, of_batch) in zip(self.batches(), keys, strict=True):
            yield first, batch, of_batch

    def _read(
        self, wanted: NDArray[np.bool_] | None, *, keys: bool, records: bool
    ) -> Iterator[tuple[int, bytes, bytes]]:
        ends = [*(first for first, _, _ in self._blocks), len(self)][1:]
        place = 0
        with self._path.open("rb") as file:
            for (first, *sizes), end in zip(self._blocks, ends, strict=True):
                if wanted is None or wanted[first:end].any():
                    file.seek(place if keys else place + sizes[0])
                    yield first, file.read(sizes[0] * keys), file.read(sizes[1] * records)
                place += sum(sizes)


def _digest(name: str) -> bytes:
    """What `group_hash` is made of."""
    return blake2b(name.encode(), digest_size=8).digest()


def _hashes(texts: list[str], language: array[int]) -> NDArray[np.uint64]:
    """64 bits for each text and its language."""
    hashes = np.array(list(map(hash, texts)), dtype=np.int64).view(np.uint64)
    return fold_in(hashes, np.asarray(language))
