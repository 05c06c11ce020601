"""The index of a folder of token shards (shards.json): its files, and the settings they were made with.

A folder of shards holds

    shards.json        the index, with the checksum of its own content
    tokens-00000.bin   token ids without special tokens: uint16 if the vocabulary allows it, else uint32
    group.bin …        one array per property of an example (`ShardsInfo.column_types`), shard after shard

An *example* is a text, or a chunk of a text that is longer than `max_length` tokens. The chunks of a text
differ in length by at most one token, so that there is no short last one.

A shard ends where its *text* reaches `bytes_per_shard`, and not at a number of tokens: the size of the text
is known before it is encoded. So a worker finds its shards without encoding the others. Groups are numbered
by their hash and languages by the manifest, so a shard depends on nothing outside it. The bytes are the same
for any number of workers and any batch size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from xformer.storage.checksummed import FileEntry, read_checksummed, write_checksummed

INDEX_NAME = "shards.json"

COLUMNS = {
    "start": "<i8",  # where the example's tokens begin in its shard, in tokens
    "n_tokens": "<u4",
    "n_bytes": "<u4",  # of the original text in UTF-8; a chunk has its share
    "language": "<u2",  # place in `languages`
    "group": "<i8",  # `group_hash` of the record's group
    "record": "<i8",  # line of the split's file, from 0
    "pieces": "<u4",  # number of chunks of the text; 1: the example is the whole text
}
"""The columns of all shards. Those that know their sources have `source` and `chars` as well."""


class TokenizerLike(Protocol):
    """The methods of a tokenizer that sharding needs."""

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""

    def encode_batch(self, texts: list[str]) -> list[NDArray[np.int32]]:
        """Token ids of each text, without special tokens."""

    def byte_lengths(self) -> NDArray[np.integer]:
        """(V,) bytes of text that each token stands for."""

    def fingerprint(self) -> str:
        """A hash that differs for different tokenizers."""


@dataclass(frozen=True)
class ShardEntry:
    """One shard: its token file, and its numbers of examples, tokens and bytes of text."""

    file: FileEntry
    examples: int
    tokens: int
    text_bytes: int


@dataclass(frozen=True)
class ShardsInfo:
    """The content of shards.json.

    Attributes:
        split: the split that was encoded.
        split_sha256: hash of the split's file.
        tokenizer: fingerprint of the tokenizer.
        vocab_size: its number of token ids.
        dtype: of the token files, as a NumPy string.
        max_length: longest example, in tokens.
        bytes_per_shard: a shard ends with the record whose text reaches this many bytes of UTF-8.
        languages: language tags; a language's number is its place.
        empty_records: records that encode to no token, which are left out.
        shards: the token files in order.
        columns: the property arrays.
        sources: names of the corpus's sources, and `other`; a source's number is its place. Empty in shards
            of format 1, which do not know the sources of their texts.
        format: version of this file format.
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
    sources: tuple[str, ...] = ()
    format: Literal[1, 2] = 2

    @property
    def column_types(self) -> dict[str, str]:
        """The columns' names and types."""
        if not self.sources:
            return COLUMNS
        number = "|u1" if len(self.sources) <= 1 << 8 else "<u2"  # place in `sources`
        return COLUMNS | {"source": number, "chars": "<u4"}  # characters of the text, also in its chunks

    @classmethod
    def read(cls, folder: Path) -> ShardsInfo:
        """Read the index of a folder of shards.

        Raises:
            InputError: it is missing, damaged, or of another format.
        """
        return read_checksummed(folder / INDEX_NAME, cls)

    def first_difference(self, expected: ShardsInfo) -> tuple[str, Any, Any] | None:
        """The name, value and expected value of the first setting that differs.

        Files are not compared; nor are the sources, where these shards do not know them.
        """
        ignored = {"shards", "columns", "empty_records"} | (set() if self.sources else {"sources", "format"})
        for field in fields(self):
            found, wanted = getattr(self, field.name), getattr(expected, field.name)
            if field.name not in ignored and found != wanted:
                return field.name, found, wanted
        return None


def write_index(
    folder: Path, settings: ShardsInfo, shards: Sequence[ShardEntry], empty_records: int
) -> ShardsInfo:
    """Write shards.json into a folder of complete shards and columns, and return its content."""
    columns = {name: FileEntry.of(folder / f"{name}.bin") for name in settings.column_types}
    info = replace(settings, shards=tuple(shards), empty_records=empty_records, columns=columns)
    write_checksummed(folder / INDEX_NAME, info)
    return info
