"""One shard: which records are in it, and what is written for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from xformer.data.groups import group_hash
from xformer.data.record import Record
from xformer.storage.checksummed import FileEntry

COLUMNS = {
    "start": "<i8",  # where the example's tokens begin in its shard, in tokens
    "n_tokens": "<u4",
    "n_bytes": "<u4",  # of the original text in UTF-8; a piece has its share
    "language": "<u2",  # place in `languages`
    "group": "<i8",  # `group_hash` of the record's group
    "record": "<i8",  # line of the split's file, from 0
    "pieces": "<u4",  # how many pieces the text was cut into; 1: the example is the whole text
}


class Encoder(Protocol):
    """What sharding asks of a tokenizer."""

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""

    def encode_batch(self, texts: list[str]) -> list[NDArray[np.int32]]:
        """Token ids of each text, without special tokens."""

    def byte_lengths(self) -> NDArray[np.integer]:
        """(V,) how many bytes of text each token stands for."""

    def fingerprint(self) -> str:
        """A hash that differs where two tokenizers do."""


@dataclass(frozen=True)
class ShardEntry:
    """One shard: its file, and how many examples, tokens and bytes of text are in it."""

    file: FileEntry
    examples: int
    tokens: int
    text_bytes: int


class ShardWriter:
    """Writes the tokens of one shard to its own file, and its examples' properties to the columns.

    Attributes:
        empty_records: records that encoded to no token, which are left out.
    """

    def __init__(
        self, path: Path, tokenizer: Encoder, languages: Sequence[str], dtype: str, max_length: int
    ) -> None:
        """Prepare to write `path`; a context manager opens and closes it.

        Args:
            path: the shard's token file.
            tokenizer: encodes the texts.
            languages: language tags; a language's number is its place.
            dtype: of the tokens, as NumPy spells it.
            max_length: longest example, in tokens.
        """
        self.empty_records = 0
        self._path = path
        self._tokenizer = tokenizer
        self._byte_lengths = tokenizer.byte_lengths()
        self._language = {tag: number for number, tag in enumerate(languages)}
        self._dtype = dtype
        self._max_length = max_length
        self._examples = self._tokens = self._bytes = 0

    def __enter__(self) -> ShardWriter:
        self._file = open(self._path, "wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, records: list[Record], columns: Mapping[str, IO[bytes]], first_record: int) -> None:
        """Encode and append `records`, the first of which is line `first_record` of the split."""
        encoded = self._tokenizer.encode_batch([record.text for record in records])
        rows: list[tuple[int, ...]] = []
        for number, (record, tokens) in enumerate(zip(records, encoded, strict=True), start=first_record):
            if not len(tokens):
                self.empty_records += 1
                continue
            if int(tokens.min()) < 0 or int(tokens.max()) >= self._tokenizer.vocab_size:
                raise ValueError(
                    f"tokenizer: an id outside 0 to {self._tokenizer.vocab_size - 1} for {record.text!r}"
                )
            n_bytes = len(record.text.encode())
            cuts = _cut_points(len(tokens), self._max_length)
            shares = _share_bytes(n_bytes, self._byte_lengths[tokens], cuts)
            language, group = self._language[record.language], group_hash(record.group)
            for (begin, end), share in zip(pairwise(cuts), shares, strict=True):
                rows.append(
                    (self._tokens + begin, end - begin, share, language, group, number, len(cuts) - 1)
                )
            self._file.write(np.asarray(tokens).astype(self._dtype).tobytes())
            self._tokens += len(tokens)
            self._bytes += n_bytes
        self._examples += len(rows)
        for place, (name, dtype) in enumerate(COLUMNS.items()):
            columns[name].write(np.array([row[place] for row in rows], dtype=dtype).tobytes())

    def entry(self) -> ShardEntry:
        """Describe the shard once its file is closed."""
        return ShardEntry(FileEntry.of(self._path), self._examples, self._tokens, self._bytes)


def cut_by_bytes(records: Iterable[Record], bytes_per_shard: int) -> Iterator[Iterator[Record]]:
    """Runs of records whose text reaches `bytes_per_shard`; use each up before the next."""
    iterator = iter(records)

    def run(first: Record) -> Iterator[Record]:
        total = len(first.text.encode())
        yield first
        while total < bytes_per_shard and (record := next(iterator, None)) is not None:
            total += len(record.text.encode())
            yield record

    while (first := next(iterator, None)) is not None:
        yield run(first)


def _cut_points(n_tokens: int, max_length: int) -> list[int]:
    """Where the pieces of a text begin and end: as few as can be, equal to within one token."""
    pieces = -(-n_tokens // max_length)
    return [n_tokens * piece // pieces for piece in range(pieces + 1)]


def _share_bytes(n_bytes: int, token_bytes: NDArray[np.integer], cuts: list[int]) -> list[int]:
    """Bytes of text for each piece, in proportion to its tokens' bytes; they add up to `n_bytes`."""
    upto = np.cumsum(np.concatenate([[0], token_bytes]), dtype=np.int64)
    whole = max(int(upto[-1]), 1)
    edges = [n_bytes * int(upto[cut]) // whole for cut in cuts[:-1]] + [n_bytes]
    return [end - begin for begin, end in pairwise(edges)]
