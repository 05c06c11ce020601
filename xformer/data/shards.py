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
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import open_corpus
from xformer.data.shard_writer import COLUMNS, Encoder, ShardEntry, ShardWriter, cut_by_bytes
from xformer.errors import InputError
from xformer.storage.checksummed import (
    FileEntry,
    atomic_folder,
    read_checksummed,
    verify_files,
    write_checksummed,
)
from xformer.storage.mapped import MappedFile

INDEX_NAME = "shards.json"
FORMAT = 1

Progress = Callable[[str, int, int | None], None]


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
    if not 1 <= batch_size <= 2**31:
        raise ValueError(f"batch_size: expected 1 to {2**31:,}, got {batch_size:,}")
    settings = shard_settings(corpus_dir, split, tokenizer, max_length, bytes_per_shard)
    corpus = open_corpus(corpus_dir)
    in_all = corpus.manifest.split(split).total.records
    with atomic_folder(out_dir) as folder:
        shards: list[ShardEntry] = []
        empty = done = 0
        with ExitStack() as stack:
            columns = {name: stack.enter_context(open(folder / f"{name}.bin", "wb")) for name in COLUMNS}
            for number, records in enumerate(cut_by_bytes(corpus.records(split), bytes_per_shard)):
                path = folder / f"tokens-{number:05d}.bin"
                writer = ShardWriter(path, tokenizer, settings.languages, settings.dtype, max_length)
                with writer:
                    while batch := list(islice(records, batch_size)):
                        writer.add(batch, columns, first_record=done)
                        done += len(batch)
                        if progress:
                            progress(f"encode {split}", done, in_all)
                shards.append(writer.entry())
                empty += writer.empty_records
        return write_index(folder, settings, shards, empty)


def shard_settings(
    corpus_dir: str | os.PathLike[str],
    split: str,
    tokenizer: Encoder,
    max_length: int,
    bytes_per_shard: int,
) -> ShardsInfo:
    """The index of shards of which none is written yet: all that their bytes follow from.

    Raises:
        InputError: when the corpus is missing or damaged.
        ValueError: when a number is out of its range.
    """
    for name, value, most in (("max_length", max_length, 2**31), ("bytes_per_shard", bytes_per_shard, 2**40)):
        if not 1 <= value <= most:
            raise ValueError(f"{name}: expected 1 to {most:,}, got {value:,}")
    manifest = open_corpus(corpus_dir).manifest
    return ShardsInfo(
        split=split,
        split_sha256=manifest.split(split).file.sha256,
        tokenizer=tokenizer.fingerprint(),
        vocab_size=tokenizer.vocab_size,
        dtype="<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4",
        max_length=max_length,
        bytes_per_shard=bytes_per_shard,
        languages=manifest.languages,
        empty_records=0,
        shards=(),
        columns={},
    )


def write_index(
    folder: Path, settings: ShardsInfo, shards: Sequence[ShardEntry], empty_records: int
) -> ShardsInfo:
    """Write shards.json into a folder whose shards and columns are complete; what it says."""
    columns = {name: FileEntry.of(folder / f"{name}.bin") for name in COLUMNS}
    info = replace(settings, shards=tuple(shards), empty_records=empty_records, columns=columns)
    write_checksummed(folder / INDEX_NAME, info)
    return info


class TokenShards(Sequence[NDArray[np.int32]]):
    """The examples of a folder of shards, by number. Made by `TokenShards.open`.

    Everything is memory-mapped: opening costs no memory, and what is used often stays in the system's cache.
    Whoever reads the columns of files that others might cut short calls `require_columns` before.

    Attributes:
        info: what shards.json says.
        languages: language tags; `language` holds places in it.
        n_examples: E.
        n_tokens: (E,) uint32, length of each example in tokens.
        n_bytes: (E,) uint32, bytes of text it stands for; pieces of a text add up to the text's bytes.
        language: (E,) uint16.
        group: (E,) int64; equal numbers mean translations of one another
            (`xformer.data.groups.group_hash`).
        record: (E,) int64, the line of the corpus file that the example comes from, from 0.
        n_chunks: (E,) uint32, number of chunks of its text; 1 for a whole text. Only whole texts are
            translations of one another.
    """

    def __init__(
        self,
        info: ShardsInfo,
        tokens: Sequence[NDArray[np.integer]],
        columns: Mapping[str, NDArray[np.integer]],
        files: Sequence[MappedFile] = (),
    ) -> None:
        self.info = info
        self.languages = info.languages
        self.n_examples = sum(shard.examples for shard in info.shards)
        self.n_tokens = columns["n_tokens"]
        self.n_bytes = columns["n_bytes"]
        self.language = columns["language"]
        self.group = columns["group"]
        self.record = columns["record"]
        self.n_chunks = columns["pieces"]
        self._start = columns["start"]
        self._columns = columns
        self._tokens = tokens
        # Of the tokens, shard after shard, then of the columns; of what is in memory there are none.
        self._files = files
        self._first_example = np.cumsum([0, *(shard.examples for shard in info.shards)])

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        fingerprint: str | None = None,
        verify: bool = True,
        rank: int = 0,
        world: int = 1,
    ) -> TokenShards:
        """Open what `write_shards` wrote.

        Args:
            folder: the folder of shards.
            fingerprint: of the tokenizer that is going to be used with them; None to accept any.
            verify: compare the hash of every file, which reads them all; otherwise only sizes are compared.
            rank: this process's number, where many open them together and each compares a share.
            world: how many they are.

        Raises:
            InputError: when a file is missing, cut short or changed, or the shards are another tokenizer's;
                the file, what was expected and what was found are named.
        """
        path = Path(folder) / INDEX_NAME
        info = read_checksummed(path, ShardsInfo)
        if info.format != FORMAT:
            raise InputError(f"{path}: expected format {FORMAT}, found {info.format}")
        if fingerprint is not None and fingerprint != info.tokenizer:
            raise InputError(f"{path}: encoded by the tokenizer {info.tokenizer}, expected {fingerprint}")
        files = [*(shard.file for shard in info.shards), *info.columns.values()]
        verify_files(path.parent, files, rank, world, verify)
        tokens = [MappedFile(path.with_name(shard.file.name), info.dtype) for shard in info.shards]
        columns = {
            name: MappedFile(path.with_name(info.columns[name].name), dtype)
            for name, dtype in COLUMNS.items()
        }
        return cls(
            info,
            [file.array for file in tokens],
            {name: file.array for name, file in columns.items()},
            [*tokens, *columns.values()],
        )

    def require_columns(self) -> None:
        """Make sure, before they are read, that no column was cut short since it was opened (`MappedFile`).

        Raises:
            InputError: one was; its file is named.
        """
        for file in self._files[len(self._tokens) :]:
            file.require_whole()

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> NDArray[np.int32]:  # type: ignore[override]
        """Token ids (n_tokens[index],) of one example, without special tokens; a copy."""
        if not -self.n_examples <= index < self.n_examples:
            raise IndexError(f"example {index}: expected less than {self.n_examples}")
        index %= self.n_examples
        (found,) = self.take(np.array([index]))
        return found

    def take(self, examples: NDArray[np.integer]) -> list[NDArray[np.int32]]:
        """The token ids of several examples, by numbers from 0 to E - 1, in their order; copies.

        Raises:
            InputError: as `tokens_of`.
        """
        self.require_columns()
        stops = np.cumsum(self.n_tokens[examples], dtype=np.int64).tolist()
        tokens = self.tokens_of(examples)
        # Of Python's numbers: NumPy's take several times as long to slice with.
        return [tokens[start:stop] for start, stop in pairwise([0, *stops])]

    def tokens_of(self, examples: NDArray[np.integer]) -> NDArray[np.int32]:
        """The token ids of several examples end to end (T,), by numbers from 0 to E - 1, in their order.

        Raises:
            InputError: a file was cut short since it was opened.
        """
        self.require_columns()
        shards = np.searchsorted(self._first_example, examples, side="right") - 1
        order = np.argsort(shards, kind="stable")
        lengths = self.n_tokens[examples].astype(np.int64)
        begins, lengths = (np.cumsum(lengths) - lengths)[order], lengths[order]
        # One shard after the other: where each token is in its shard, and where it goes.
        edges = np.concatenate([[0], np.cumsum(lengths)])
        within = np.arange(edges[-1]) - np.repeat(edges[:-1], lengths)
        source = within + np.repeat(self._start[examples[order]], lengths)
        target = within + np.repeat(begins, lengths)
        tokens = np.empty(len(target), dtype=np.int32)
        present, first = np.unique(shards[order], return_index=True)
        bounds = pairwise([*edges[first].tolist(), len(target)])
        for shard, (start, stop) in zip(present.tolist(), bounds, strict=True):
            if self._files:
                self._files[shard].require_whole()
            tokens[target[start:stop]] = self._tokens[shard][source[start:stop]]
        return tokens

    def subset(self, examples: NDArray[np.integer]) -> TokenShards:
        """Some examples as if there were no others, in memory, in the order given."""
        tokens = self.tokens_of(examples)
        columns = {name: np.asarray(column)[examples] for name, column in self._columns.items()}
        columns["start"] = np.cumsum(columns["n_tokens"], dtype=np.int64) - columns["n_tokens"]
        entry = replace(
            self.info.shards[0],
            examples=len(examples),
            tokens=len(tokens),
            text_bytes=int(columns["n_bytes"].sum()),
        )
        return TokenShards(replace(self.info, shards=(entry,)), [tokens.astype(self.info.dtype)], columns)
