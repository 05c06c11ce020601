"""Writing token shards: a split of a corpus, encoded once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import open_corpus
from xformer.data.groups import group_hash
from xformer.data.record import Record
from xformer.data.reporting import ProgressCallback
from xformer.data.shard_index import (
    COLUMNS,
    ShardEntry,
    ShardsInfo,
    TokenizerLike,
    shard_settings,
    write_index,
)
from xformer.storage.checksummed import FileEntry, atomic_folder


def write_shards(
    corpus_dir: str | os.PathLike[str],
    split: str,
    tokenizer: TokenizerLike,
    out_dir: str | os.PathLike[str],
    *,
    max_length: int = 512,
    bytes_per_shard: int = 1 << 28,
    batch_size: int = 1024,
    progress: ProgressCallback | None = None,
) -> ShardsInfo:
    """Encode a split of a corpus into the folder `out_dir`, which is complete or absent.

    Memory holds one batch of records and its tokens, for a corpus of any size.

    Args:
        corpus_dir: a folder that `import_corpus` wrote.
        split: `train`, `dev` or `test`.
        tokenizer: encodes the texts.
        out_dir: a new folder.
        max_length: longest example, in tokens; longer texts are cut into chunks.
        bytes_per_shard: where a shard ends, in bytes of text; its tokens take about half of that on disk.
        batch_size: records encoded at once; changes the speed only.
        progress: called with ("encode SPLIT", records done, records in all).

    Raises:
        InputError: the corpus is missing or damaged, or `out_dir` exists.
        ValueError: a number is out of range.
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
            columns = open_columns(folder, stack)
            for number, records in enumerate(cut_by_bytes(corpus.records(split), bytes_per_shard)):
                path = folder / token_file(number)
                with open(path, "wb") as tokens:
                    amounts = encode_records(
                        records, tokenizer, settings, tokens, columns, done, in_all, progress, batch_size
                    )
                shards.append(amounts.entry(path))
                empty += amounts.empty_records
                done += amounts.records
        return write_index(folder, settings, shards, empty)


def token_file(number: int) -> str:
    """The name of the token file of a shard."""
    return f"tokens-{number:05d}.bin"


def open_columns(folder: Path, stack: ExitStack) -> dict[str, IO[bytes]]:
    """New files for the columns; `stack` closes them."""
    return {name: stack.enter_context(open(folder / f"{name}.bin", "wb")) for name in COLUMNS}


@dataclass
class ShardAmounts:
    """Counts of one shard.

    Attributes:
        records: records read.
        empty_records: records that encoded to no token, which are left out.
        examples: examples written.
        tokens: tokens written.
        text_bytes: UTF-8 bytes of their texts.
    """

    records: int = 0
    empty_records: int = 0
    examples: int = 0
    tokens: int = 0
    text_bytes: int = 0

    def entry(self, path: Path) -> ShardEntry:
        """Describe the shard whose token file is `path`."""
        return ShardEntry(FileEntry.of(path), self.examples, self.tokens, self.text_bytes)


def encode_records(
    records: Iterable[Record],
    tokenizer: TokenizerLike,
    settings: ShardsInfo,
    token_file: IO[bytes],
    columns: Mapping[str, IO[bytes]],
    first_record: int,
    in_all: int,
    progress: ProgressCallback | None = None,
    batch_size: int = 1024,
) -> ShardAmounts:
    """Encode the records of one shard.

    Args:
        records: the records.
        tokenizer: encodes the texts.
        settings: from `shard_settings`.
        token_file: where to write the tokens.
        columns: where to append the properties of the examples, one file per column.
        first_record: number of the first record in the split.
        in_all: records of the split.
        progress: called with ("encode SPLIT", records done, records in all).
        batch_size: records encoded at once.
    """
    found, iterator = ShardAmounts(), iter(records)
    number_of = {tag: number for number, tag in enumerate(settings.languages)}
    byte_lengths, vocab_size = tokenizer.byte_lengths(), tokenizer.vocab_size
    while batch := list(islice(iterator, batch_size)):
        encoded = tokenizer.encode_batch([record.text for record in batch])
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
            cuts = _cut_points(len(tokens), settings.max_length)
            shares = _share_bytes(n_bytes, byte_lengths[tokens], cuts)
            language, group = number_of[record.language], group_hash(record.group)
            for (begin, end), share in zip(pairwise(cuts), shares, strict=True):
                rows.append((found.tokens + begin, end - begin, share, language, group, place, len(cuts) - 1))
            token_file.write(np.asarray(tokens).astype(settings.dtype).tobytes())
            found.tokens += len(tokens)
            found.text_bytes += n_bytes
        for column, (name, dtype) in enumerate(COLUMNS.items()):
            columns[name].write(np.array([row[column] for row in rows], dtype=dtype).tobytes())
        found.examples += len(rows)
        found.records += len(batch)
        if progress:
            progress(f"encode {settings.split}", first_record + found.records, in_all)
    return found


def cut_by_bytes(records: Iterable[Record], bytes_per_shard: int) -> Iterator[Iterator[Record]]:
    """Cut records into stretches whose text reaches `bytes_per_shard`. Use up each one before the next."""
    iterator = iter(records)

    def stretch(first: Record) -> Iterator[Record]:
        total = len(first.text.encode())
        yield first
        while total < bytes_per_shard and (record := next(iterator, None)) is not None:
            total += len(record.text.encode())
            yield record

    while (first := next(iterator, None)) is not None:
        yield stretch(first)


def _cut_points(n_tokens: int, max_length: int) -> list[int]:
    """Where the chunks of a text begin and end: as few as possible, equal to within one token."""
    n_chunks = -(-n_tokens // max_length)
    return [n_tokens * chunk // n_chunks for chunk in range(n_chunks + 1)]


def _share_bytes(n_bytes: int, token_bytes: NDArray[np.integer], cuts: list[int]) -> list[int]:
    """Bytes of text of each chunk, in proportion to the bytes of its tokens; they add up to `n_bytes`."""
    upto = np.cumsum(np.concatenate([[0], token_bytes]), dtype=np.int64)
    whole = max(int(upto[-1]), 1)
    edges = [n_bytes * int(upto[cut]) // whole for cut in cuts[:-1]] + [n_bytes]
    return [end - begin for begin, end in pairwise(edges)]
