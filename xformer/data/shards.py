"""Reading token shards by memory map; the files are described in `xformer.data.shard_index`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.data.shard_index import INDEX_NAME, ShardEntry, ShardsInfo
from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry, verify_files
from xformer.storage.mapped import MappedFile


class TokenShards(Sequence[NDArray[np.int32]]):
    """The examples of a folder of shards, by number: `TokenShards.open` or `TokenShards.in_memory`.

    Files are memory-mapped: opening takes no memory, and the system's cache keeps what is used often. Call
    `require_columns` before reading columns whose files another process could cut short.

    Attributes:
        info: the content of shards.json.
        languages: language tags; `language` holds places in it.
        n_examples: E.
        n_tokens: (E,) uint32, length of each example in tokens.
        n_bytes: (E,) uint32, bytes of text of each example; the chunks of a text add up to its bytes.
        language: (E,) uint16.
        group: (E,) int64, `group_hash` of the group; examples of one group are translations.
        record: (E,) int64, the line of the corpus file that the example comes from, from 0.
        n_chunks: (E,) uint32, number of chunks of its text; 1 for a whole text. Only whole texts are
            translations of one another.
        sources: names of the corpus's sources; `source` holds places in it. Empty if the shards do not know
            the sources of their texts, because an earlier version made them.
        source: (E,) uint8 or uint16; None without `sources`.
        n_chars: (E,) uint32, characters of the text, also in each of its chunks; None without `sources`.
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
        self.sources = info.sources
        self.source, self.n_chars = columns.get("source"), columns.get("chars")
        self._start = columns["start"]
        self._columns = columns
        self._tokens = tokens
        # Of the tokens, shard after shard, then of the columns; empty for shards in memory.
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
        """Open a folder that `write_shards` wrote.

        Args:
            folder: the folder of shards.
            fingerprint: of the tokenizer that will be used with them; None to accept any.
            verify: compare the hash of every file, which reads all of them; otherwise only sizes.
            rank: this process's number; each process compares the hashes of a share of the files.
            world: number of processes.

        Raises:
            InputError: a file is missing, cut short or changed, or another tokenizer made the shards; the
                message names the file, and the expected and the found value.
        """
        path = Path(folder) / INDEX_NAME
        info = ShardsInfo.read(path.parent)
        if fingerprint is not None and fingerprint != info.tokenizer:
            raise InputError(f"{path}: encoded by the tokenizer {info.tokenizer}, expected {fingerprint}")
        files = [*(shard.file for shard in info.shards), *info.columns.values()]
        verify_files(path.parent, files, rank, world, verify)
        tokens = [MappedFile(path.with_name(shard.file.name), info.dtype) for shard in info.shards]
        columns = {
            name: MappedFile(path.with_name(info.columns[name].name), dtype)
            for name, dtype in info.column_types.items()
        }
        return cls(
            info,
            [file.array for file in tokens],
            {name: file.array for name, file in columns.items()},
            [*tokens, *columns.values()],
        )

    @classmethod
    def in_memory(
        cls,
        tokens: NDArray[np.integer],
        columns: Mapping[str, NDArray[np.integer]],
        info: ShardsInfo,
    ) -> TokenShards:
        """Examples in memory, as one shard.

        Args:
            tokens: (T,) the tokens of the examples, end to end.
            columns: the properties of the examples, by the names of `info.column_types`, without `start`.
            info: the settings; its shards are replaced.
        """
        lengths = columns["n_tokens"]
        amounts = len(lengths), len(tokens), int(columns["n_bytes"].sum())
        entry = ShardEntry(FileEntry("memory", tokens.nbytes, ""), *amounts)
        starts = np.cumsum(lengths, dtype=np.int64) - lengths
        return cls(replace(info, shards=(entry,)), [tokens], {**columns, "start": starts})

    def require_columns(self) -> None:
        """Check that no column was cut short since it was opened (`MappedFile`).

        Raises:
            InputError: a column was cut short; the message names its file.
        """
        for file in self._files[len(self._tokens) :]:
            file.require_whole()

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> NDArray[np.int32]:  # type: ignore[override]
        """A copy of the token ids of one example, (n_tokens[index],), without special tokens."""
        if not -self.n_examples <= index < self.n_examples:
            raise IndexError(f"example {index}: expected less than {self.n_examples}")
        index %= self.n_examples
        (found,) = self.take(np.array([index]))
        return found

    def take(self, examples: NDArray[np.integer]) -> list[NDArray[np.int32]]:
        """Copies of the token ids of several examples, by numbers from 0 to E - 1, in their order.

        Raises:
            InputError: as `tokens_of`.
        """
        self.require_columns()
        stops = np.cumsum(self.n_tokens[examples], dtype=np.int64).tolist()
        tokens = self.tokens_of(examples)
        # Slicing with Python's integers is several times as fast as with NumPy's.
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
        # For one shard after the other: where each token is in the shard, and where it goes.
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
        """The given examples, copied into memory, in the order given."""
        columns = {name: np.asarray(column)[examples] for name, column in self._columns.items()}
        tokens = self.tokens_of(examples).astype(self.info.dtype)
        return TokenShards.in_memory(tokens, columns, self.info)
