"""Token shards: a split of a corpus, encoded once, read by memory map ever after.

A folder of shards holds

    shards.json        what is here, sealed: hashes, sizes, tokenizer, languages, shards
    tokens-00000.bin   token ids, uint16 while the vocabulary allows it, else uint32; no special tokens
    group.bin …        one array per property of an example (`COLUMNS`), shard after shard

An *example* is a text, or a piece of one that is longer than `max_length` tokens. Pieces follow one another
and differ in length by one token at most, so that no short remainder is left over.

A shard ends where its *text* reaches `bytes_per_shard`, not where its tokens reach a count: text is known
before it is encoded, so a worker finds its shards without encoding anyone else's, and what it writes depends
on nothing outside them (groups are numbered by their hash, languages by the manifest). One worker or many,
small batches or large, the bytes are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import open_corpus
from xformer.data.groups import group_number
from xformer.data.record import Record
from xformer.data.sealed import FileEntry, atomic_folder, read_sealed, write_sealed
from xformer.errors import InputError

INDEX_NAME = "shards.json"
FORMAT = 1
COLUMNS = {
    "start": "<i8",  # where the example's tokens begin in its shard, in tokens
    "n_tokens": "<u4",
    "n_bytes": "<u4",  # of the original text in UTF-8; a piece has its share
    "language": "<u2",  # place in `languages`
    "group": "<i8",  # `group_number` of the record's group
    "record": "<i8",  # line of the split's file, from 0
    "pieces": "<u4",  # how many pieces the text was cut into; 1: the example is the whole text
}

Progress = Callable[[str, int, int | None], None]


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


@dataclass(frozen=True)
class ShardsInfo:
    """shards.json.

    Attributes:
        split: the split that was encoded.
        split_sha256: hash of the split's file: which text this is.
        tokenizer: fingerprint of the tokenizer.
        vocab_size: its number of token ids.
        dtype: of the token files, as NumPy spells it.
        max_length: longest example, in tokens.
        bytes_per_shard: a shard's text, in bytes of UTF-8, ends at the first record that reaches this.
        languages: language tags; a language's number is its place.
        empty_records: records that encode to no token, which are left out.
        shards: the token files in order.
        columns: the property arrays.
        format: version of this layout.
    """

    split: str
    split_sha256: str
    tokenizer: str
    vocab_size: int
    dtype: str
    max_length: int
    bytes_per_shard: int
    languages: tuple[str, ...]
    empty_records: int
    shards: tuple[ShardEntry, ...]
    columns: dict[str, FileEntry]
    format: int = FORMAT


def write_shards(
    corpus_dir: str | os.PathLike[str],
    split: str,
    tokenizer: Encoder,
    out_dir: str | os.PathLike[str],
    *,
    max_length: int = 512,
    bytes_per_shard: int = 1 << 28,
    batch_size: int = 1024,
    progress: Progress | None = None,
) -> ShardsInfo:
    """Encode a split of a corpus into `out_dir`, which appears whole or not at all.

    Memory holds one batch of records and its tokens, whatever the size of the corpus.

    Args:
        corpus_dir: what `import_corpus` wrote.
        split: `train`, `dev` or `test`.
        tokenizer: encodes the texts.
        out_dir: a new folder.
        max_length: longest example, in tokens; longer texts are cut into pieces.
        bytes_per_shard: where a shard ends, in bytes of text; its tokens take about half that on disk.
        batch_size: records encoded at once; changes speed, not the result.
        progress: called with ("encode SPLIT", records done, records in all).

    Raises:
        InputError: when the corpus is missing or damaged, or `out_dir` exists.
        ValueError: when a number is out of its range.
    """
    for name, value, most in (
        ("max_length", max_length, 2**31),
        ("bytes_per_shard", bytes_per_shard, 2**40),
        ("batch_size", batch_size, 2**31),
    ):
        if not 1 <= value <= most:
            raise ValueError(f"{name}: expected 1 to {most:,}, got {value:,}")
    corpus = open_corpus(corpus_dir)
    entry = corpus.manifest.split(split)
    languages = corpus.manifest.languages
    dtype = "<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4"
    with atomic_folder(out_dir) as folder:
        shards: list[ShardEntry] = []
        empty = done = 0
        with ExitStack() as stack:
            columns = {name: stack.enter_context(open(folder / f"{name}.bin", "wb")) for name in COLUMNS}
            for number, records in enumerate(_cut_by_bytes(corpus.records(split), bytes_per_shard)):
                writer = _ShardWriter(
                    folder / f"tokens-{number:05d}.bin", tokenizer, languages, dtype, max_length
                )
                with writer:
                    while batch := list(islice(records, batch_size)):
                        writer.add(batch, columns, first_record=done)
                        done += len(batch)
                        if progress:
                            progress(f"encode {split}", done, entry.total.records)
                shards.append(writer.entry())
                empty += writer.empty_records
        info = ShardsInfo(
            split=split,
            split_sha256=entry.file.sha256,
            tokenizer=tokenizer.fingerprint(),
            vocab_size=tokenizer.vocab_size,
            dtype=dtype,
            max_length=max_length,
            bytes_per_shard=bytes_per_shard,
            languages=languages,
            empty_records=empty,
            shards=tuple(shards),
            columns={name: FileEntry.of(folder / f"{name}.bin") for name in COLUMNS},
        )
        write_sealed(folder / INDEX_NAME, info)
    return info


class TokenShards(Sequence[NDArray[np.int32]]):
    """The examples of a folder of shards, by number. Made by `TokenShards.open`.

    Everything is memory-mapped: opening costs no memory, and what is used often stays in the system's cache.

    Attributes:
        info: what shards.json says.
        languages: language tags; `language` holds places in it.
        n_examples: E.
        n_tokens: (E,) uint32, length of each example in tokens.
        n_bytes: (E,) uint32, bytes of text it stands for; pieces of a text add up to the text's bytes.
        language: (E,) uint16.
        group: (E,) int64; equal numbers mean translations of one another
            (`xformer.data.groups.group_number`).
        record: (E,) int64, the line of the corpus file that the example comes from, from 0.
        pieces: (E,) uint32; 1 where the example is a whole text. Only whole texts are translations of one
            another.
    """

    def __init__(
        self,
        info: ShardsInfo,
        tokens: list[NDArray[np.unsignedinteger]],
        columns: Mapping[str, NDArray[np.integer]],
    ) -> None:
        self.info = info
        self.languages = info.languages
        self.n_examples = sum(shard.examples for shard in info.shards)
        self.n_tokens = columns["n_tokens"]
        self.n_bytes = columns["n_bytes"]
        self.language = columns["language"]
        self.group = columns["group"]
        self.record = columns["record"]
        self.pieces = columns["pieces"]
        self._start = columns["start"]
        self._tokens = tokens
        self._first_example = np.cumsum([0, *(shard.examples for shard in info.shards)])

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], *, fingerprint: str | None = None, verify: bool = True
    ) -> TokenShards:
        """Open what `write_shards` wrote.

        Args:
            folder: the folder of shards.
            fingerprint: of the tokenizer that is going to be used with them; None to accept any.
            verify: compare the hash of every file, which reads them all; otherwise only sizes are compared.

        Raises:
            InputError: when a file is missing, cut short or changed, or the shards are another tokenizer's;
                the file, what was expected and what was found are named.
        """
        path = Path(folder) / INDEX_NAME
        info = read_sealed(path, ShardsInfo)
        if info.format != FORMAT:
            raise InputError(f"{path}: expected format {FORMAT}, found {info.format}")
        if fingerprint is not None and fingerprint != info.tokenizer:
            raise InputError(f"{path}: encoded by the tokenizer {info.tokenizer}, expected {fingerprint}")
        tokens = [_map(shard.file.verify(path.parent, verify), info.dtype) for shard in info.shards]
        columns = {
            name: _map(info.columns[name].verify(path.parent, verify), dtype)
            for name, dtype in COLUMNS.items()
        }
        return cls(info, tokens, columns)

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> NDArray[np.int32]:  # type: ignore[override]
        """Token ids (n_tokens[index],) of one example, without special tokens; a copy."""
        if not -self.n_examples <= index < self.n_examples:
            raise IndexError(f"example {index}: expected less than {self.n_examples}")
        index %= self.n_examples
        shard = int(np.searchsorted(self._first_example, index, side="right")) - 1
        start = int(self._start[index])
        return self._tokens[shard][start : start + int(self.n_tokens[index])].astype(np.int32)


class _ShardWriter:
    """Writes the tokens of one shard to its own file, and its examples' properties to the columns."""

    def __init__(
        self, path: Path, tokenizer: Encoder, languages: Sequence[str], dtype: str, max_length: int
    ) -> None:
        self.empty_records = 0
        self._path = path
        self._tokenizer = tokenizer
        self._byte_lengths = tokenizer.byte_lengths()
        self._language = {tag: number for number, tag in enumerate(languages)}
        self._dtype = dtype
        self._max_length = max_length
        self._examples = self._tokens = self._bytes = 0

    def __enter__(self) -> _ShardWriter:
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
            language, group = self._language[record.language], group_number(record.group)
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


def _cut_by_bytes(records: Iterable[Record], bytes_per_shard: int) -> Iterator[Iterator[Record]]:
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


def _map(path: Path, dtype: str) -> NDArray[np.unsignedinteger]:
    if not path.stat().st_size:  # an empty file cannot be mapped
        return np.empty(0, dtype=dtype)
    # As a plain array: slicing np.memmap, a subclass, takes several times as long.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
