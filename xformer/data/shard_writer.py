"""Writing token shards: a split of a corpus, encoded once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from xformer.data.chunks import cut_points
from xformer.data.corpus import open_corpus
from xformer.data.groups import group_hash
from xformer.data.record import Record
from xformer.data.reporting import ProgressCallback
from xformer.data.shard_index import ShardEntry, ShardsInfo, TokenizerLike, write_index
from xformer.data.source_rules import SourcePlaces
from xformer.storage.checksummed import FileEntry, atomic_folder


@dataclass
class ShardAmounts:
    """Counts of one shard: records read, and examples, tokens and bytes of UTF-8 text written."""

    records: int = 0
    empty_records: int = 0  # encode to no token and are left out
    examples: int = 0
    tokens: int = 0
    text_bytes: int = 0

    def entry(self, path: Path) -> ShardEntry:
        """Describe the shard whose token file is `path`."""
        return ShardEntry(FileEntry.of(path), self.examples, self.tokens, self.text_bytes)


class Sharding:
    """A split of a corpus, and how it is encoded into token shards.

    Args:
        corpus_dir: a folder that `import_corpus` wrote.
        split: `train`, `dev` or `test`.
        tokenizer: encodes the texts.
        max_length: longest example, in tokens; longer texts are cut into chunks.
        bytes_per_shard: where a shard ends, in bytes of text; its tokens take about half of that on disk.

    Attributes:
        settings: the index of the shards before any is written: all that their bytes depend on.
        in_all: number of records of the split.

    Raises:
        InputError: the corpus is missing or damaged, or has no such split.
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        corpus_dir: str | os.PathLike[str],
        split: str,
        tokenizer: TokenizerLike,
        *,
        max_length: int = 512,
        bytes_per_shard: int = 1 << 28,
    ) -> None:
        sizes = ("max_length", max_length, 2**31), ("bytes_per_shard", bytes_per_shard, 2**40)
        for name, value, most in sizes:
            if not 1 <= value <= most:
                raise ValueError(f"{name}: expected 1 to {most:,}, got {value:,}")
        self._corpus, self._tokenizer = open_corpus(corpus_dir), tokenizer
        entry = self._corpus.manifest.split(split)
        self.in_all = entry.total.records
        self._place_of = SourcePlaces(source.name for source in self._corpus.manifest.sources)
        self.settings = ShardsInfo(
            split=split,
            split_sha256=entry.file.sha256,
            tokenizer=tokenizer.fingerprint(),
            vocab_size=tokenizer.vocab_size,
            dtype="<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4",
            max_length=max_length,
            bytes_per_shard=bytes_per_shard,
            languages=self._corpus.manifest.languages,
            empty_records=0,
            shards=(),
            columns={},
            sources=self._place_of.names,
        )

    def records(self) -> Iterator[Iterator[Record]]:
        """The records of each shard. Use up each one before the next."""
        return _cut_by_bytes(self._corpus.records(self.settings.split), self.settings.bytes_per_shard)

    def encode(
        self,
        records: Iterable[Record],
        token_file: IO[bytes],
        columns: Mapping[str, IO[bytes]],
        first_record: int = 0,
        progress: ProgressCallback | None = None,
        batch_size: int = 1024,
    ) -> ShardAmounts:
        """Encode the records of one shard.

        Args:
            records: the records.
            token_file: where to write the tokens.
            columns: where to append the properties of the examples, one file per column.
            first_record: number of the first record in the split.
            progress: called with ("encode SPLIT", records done, records in all).
            batch_size: records encoded at once.
        """
        found, iterator = ShardAmounts(), iter(records)
        number_of = {tag: number for number, tag in enumerate(self.settings.languages)}
        byte_lengths, vocab_size = self._tokenizer.byte_lengths(), self._tokenizer.vocab_size
        while batch := list(islice(iterator, batch_size)):
            encoded = self._tokenizer.encode_batch([record.text for record in batch])
            rows: list[tuple[int, ...]] = []
            for place, (record, tokens) in enumerate(
                zip(batch, encoded, strict=True), first_record + found.records
            ):
                if not len(tokens):
                    found.empty_records += 1
                    continue
                if int(tokens.min()) < 0 or int(tokens.max()) >= vocab_size:
                    raise ValueError(f"tokenizer: an id outside 0 to {vocab_size - 1} for {record.text!r}")
                n_bytes = len(record.text.encode())
                cuts = cut_points(len(tokens), self.settings.max_length)
                shares = _share_bytes(n_bytes, byte_lengths[tokens], cuts)
                language, source = number_of[record.language], self._place_of(record.source)
                of_text = (language, group_hash(record.group), place, len(cuts) - 1, source, len(record.text))
                for (begin, end), share in zip(pairwise(cuts), shares, strict=True):
                    rows.append((found.tokens + begin, end - begin, share, *of_text))
                token_file.write(np.asarray(tokens).astype(self.settings.dtype).tobytes())
                found.tokens += len(tokens)
                found.text_bytes += n_bytes
            for column, (name, dtype) in enumerate(self.settings.column_types.items()):
                columns[name].write(np.array([row[column] for row in rows], dtype=dtype).tobytes())
            found.examples += len(rows)
            found.records += len(batch)
            if progress:
                progress(f"encode {self.settings.split}", first_record + found.records, self.in_all)
        return found


def write_shards(
    sharding: Sharding,
    out_dir: str | os.PathLike[str],
    *,
    batch_size: int = 1024,
    progress: ProgressCallback | None = None,
) -> ShardsInfo:
    """Encode a split of a corpus into the folder `out_dir`, which is complete or absent.

    Memory holds one batch of records and its tokens, for a corpus of any size.

    Args:
        sharding: what to encode, and how.
        out_dir: a new folder.
        batch_size: records encoded at once; changes the speed only.
        progress: called with ("encode SPLIT", records done, records in all).

    Raises:
        InputError: the corpus is damaged, or `out_dir` exists.
        ValueError: `batch_size` is out of range.
    """
    if not 1 <= batch_size <= 2**31:
        raise ValueError(f"batch_size: expected 1 to {2**31:,}, got {batch_size:,}")
    with atomic_folder(out_dir) as folder:
        shards: list[ShardEntry] = []
        empty = done = 0
        with open_columns(folder, sharding.settings) as columns:
            for number, records in enumerate(sharding.records()):
                path = folder / token_file(number)
                with open(path, "wb") as tokens:
                    amounts = sharding.encode(records, tokens, columns, done, progress, batch_size)
                shards.append(amounts.entry(path))
                empty += amounts.empty_records
                done += amounts.records
        return write_index(folder, sharding.settings, shards, empty)


def token_file(number: int) -> str:
    """The name of the token file of a shard."""
    return f"tokens-{number:05d}.bin"


@contextmanager
def open_columns(folder: Path, settings: ShardsInfo) -> Iterator[dict[str, IO[bytes]]]:
    """Open new files for the columns."""
    with ExitStack() as stack:
        names = settings.column_types
        yield {name: stack.enter_context(open(folder / f"{name}.bin", "wb")) for name in names}


def _cut_by_bytes(records: Iterable[Record], bytes_per_shard: int) -> Iterator[Iterator[Record]]:
    """Cut records into stretches whose text reaches `bytes_per_shard`."""
    iterator = iter(records)

    def stretch(first: Record) -> Iterator[Record]:
        total = len(first.text.encode())
        yield first
        while total < bytes_per_shard and (record := next(iterator, None)) is not None:
            total += len(record.text.encode())
            yield record

    while (first := next(iterator, None)) is not None:
        yield stretch(first)


def _share_bytes(n_bytes: int, token_bytes: NDArray[np.integer], cuts: list[int]) -> list[int]:
    """Bytes of text of each chunk, in proportion to the bytes of its tokens; they add up to `n_bytes`."""
    upto = np.cumsum(np.concatenate([[0], token_bytes]), dtype=np.int64)
    whole = max(int(upto[-1]), 1)
    edges = [n_bytes * int(upto[cut]) // whole for cut in cuts[:-1]] + [n_bytes]
    return [end - begin for begin, end in pairwise(edges)]
