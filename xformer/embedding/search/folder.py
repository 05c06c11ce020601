"""An index on disk: parts, where their texts come from, and which model made the vectors.

    INDEX/
      index.json      what follows, with hashes, under a checksum of its own
      00000.vectors  00000.bf16  00000.int8  00000.scales  00000.texts  00000.ends
      00001.vectors  …            what was added later (`grow.py`)

Shapes: E texts, B texts of one block, D vector width.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from xformer.embedding.search.coded import Coded
from xformer.embedding.search.codes import Vectors
from xformer.embedding.search.part import Part, PartEntry, write_part
from xformer.errors import InputError
from xformer.storage.checksummed import atomic_folder, read_checksummed, verify_files, write_checksummed

NAME = "index.json"
_FORMAT = 2

Block = tuple[str, Sequence[str], Vectors]
"""The name of a source, its next B texts, and their vectors (B, D)."""


@dataclass(frozen=True)
class Stamp:
    """The model that made an index's vectors.

    Attributes:
        run: its folder.
        step: optimizer steps that its weights have seen.
        layer: number of blocks after which vectors are taken.
        fingerprint: a hash of all that decides about vectors: weights, tokenizer and layer.
    """

    run: str
    step: int
    layer: int
    fingerprint: str


@dataclass(frozen=True)
class Source:
    """Where some texts come from, which lie in the index one after the other.

    Attributes:
        name: a file's path, or what the user called it.
        texts: how many.
    """

    name: str
    texts: int


@dataclass(frozen=True)
class IndexInfo:
    """The content of `index.json`.

    Attributes:
        format: of the folder.
        model: that made the vectors.
        dim: D.
        parts: in their order.
        sources: in the order of their texts.
    """

    format: int
    model: Stamp
    dim: int
    parts: tuple[PartEntry, ...]
    sources: tuple[Source, ...]


class IndexFolder:
    """An index that was opened.

    Attributes:
        path: its folder.
        info: its `index.json`.
        parts: what it consists of, in the order of the texts.
    """

    def __init__(self, path: str | os.PathLike[str], *, verify: bool = False) -> None:
        """Open an index.

        Args:
            path: its folder.
            verify: compare the hash of each file, too, which reads all of them; otherwise their sizes.

        Raises:
            InputError: it is no index, of a later format, or a file is missing or damaged.
        """
        self.path = Path(path)
        self.info = read_info(path)
        while True:
            try:
                verify_files(
                    self.path, [file for part in self.info.parts for file in part.files], content=verify
                )
                self.parts = [Part(self.path, entry, self.info.dim) for entry in self.info.parts]
                break
            except (InputError, FileNotFoundError):
                # Another process may just have joined parts, and removed those that were listed before.
                before, self.info = self.info, read_info(path)
                if before == self.info:
                    raise
        self._part_ends = list(accumulate(map(len, self.parts)))
        self._source_ends = list(accumulate(source.texts for source in self.info.sources))

    def __len__(self) -> int:
        return self._part_ends[-1]

    @property
    def vectors(self) -> list[Coded]:
        """The vectors of all texts, in parts."""
        return [part.vectors for part in self.parts]

    def text(self, row: int) -> str:
        """The text of a row."""
        part = bisect_right(self._part_ends, row)
        return self.parts[part].text(row - (self._part_ends[part - 1] if part else 0))

    def place(self, row: int) -> tuple[str, int]:
        """The name of the source of a row, and its line there, from 1."""
        source = bisect_right(self._source_ends, row)
        return self.info.sources[source].name, 1 + row - (self._source_ends[source - 1] if source else 0)


def read_info(path: str | os.PathLike[str]) -> IndexInfo:
    """What an index's `index.json` says.

    Raises:
        InputError: it is no index, of another format, or damaged.
    """
    file = Path(path) / NAME
    if not file.is_file():
        make = f"`xformer index FILES --run RUN -o {path}` makes one"
        raise InputError(f"{path}: expected an index, with {NAME} in it; {make}")
    return read_checksummed(file, IndexInfo, _of_this_format)


def _of_this_format(content: dict[str, Any]) -> dict[str, Any]:
    if (found := content.get("format")) != _FORMAT:
        raise ValueError(f"an index of format {_FORMAT}, it is of {found}; make it again by `xformer index`")
    return content


def make_index(path: str | os.PathLike[str], model: Stamp, dim: int, blocks: Iterable[Block]) -> None:
    """Write a new index; it is complete or absent.

    Args:
        path: a new folder.
        model: that makes the vectors.
        dim: D.
        blocks: written as they come.

    Raises:
        InputError: the folder exists, there are no texts, or a vector is not finite.
    """
    with atomic_folder(path) as folder:
        part, sources = write_blocks(folder, 0, blocks, model)
        if not part.texts:
            raise InputError(f"{path}: expected texts, got none")
        write_checksummed(folder / NAME, IndexInfo(_FORMAT, model, dim, (part,), sources))


def write_blocks(
    folder: Path, number: int, blocks: Iterable[Block], model: Stamp
) -> tuple[PartEntry, tuple[Source, ...]]:
    """Write a part; what `index.json` says of it, and of where its texts come from.

    Args:
        folder: where to write.
        number: of the part.
        blocks: written as they come.
        model: that makes the vectors, for messages.

    Raises:
        InputError: a vector is not finite.
    """
    sources: list[Source] = []

    def noted() -> Iterator[tuple[Sequence[str], Vectors]]:
        for name, texts, vectors in blocks:
            before = sources.pop().texts if sources and sources[-1].name == name else 0
            sources.append(Source(name, before + len(texts)))
            yield texts, vectors

    try:
        return write_part(folder, number, noted()), tuple(sources)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{model.run}: its model at step {model.step:,}: {error}") from error
