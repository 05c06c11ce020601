"""An index on disk: parts, where their texts come from, and which model made the vectors.

    INDEX/
      index.json      what follows, with hashes, under a checksum of its own
      00000.vectors  00000.codes  00000.texts  00000.ends
      00001.vectors  …            what was added later

A folder is complete or absent, and so is what is added: the files of a part come first, and count when
`index.json` lists them.

Shapes: E texts, B texts of one block, D vector width.
"""

from __future__ import annotations

import fcntl
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from xformer.embedding.search.coded import Coded, Vectors
from xformer.embedding.search.part import Part, PartEntry, write_part
from xformer.errors import InputError
from xformer.storage.checksummed import (
    atomic_folder,
    read_checksummed,
    scratch_folder,
    verify_files,
    write_checksummed,
)
from xformer.storage.files import flush_to_disk

_NAME = "index.json"
_FORMAT = 1

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
        if not (self.path / _NAME).is_file():
            raise InputError(
                f"{path}: expected an index, with {_NAME} in it; `xformer index FILES --run RUN -o {path}`"
                " makes one"
            )
        self.info = read_checksummed(self.path / _NAME, IndexInfo)
        if self.info.format != _FORMAT:
            raise InputError(f"{path}: expected an index of format {_FORMAT}, it is of {self.info.format}")
        verify_files(self.path, [file for part in self.info.parts for file in part.files], content=verify)
        self._parts = [
            Part(self.path, number, entry, self.info.dim) for number, entry in enumerate(self.info.parts)
        ]
        self._part_ends = list(accumulate(map(len, self._parts)))
        self._source_ends = list(accumulate(source.texts for source in self.info.sources))

    def __len__(self) -> int:
        return self._part_ends[-1]

    @property
    def vectors(self) -> list[Coded]:
        """The vectors of all texts, in parts."""
        return [part.vectors for part in self._parts]

    def text(self, row: int) -> str:
        """The text of a row."""
        part = bisect_right(self._part_ends, row)
        return self._parts[part].text(row - (self._part_ends[part - 1] if part else 0))

    def place(self, row: int) -> tuple[str, int]:
        """The name of the source of a row, and its line there, from 1."""
        source = bisect_right(self._source_ends, row)
        return self.info.sources[source].name, 1 + row - (self._source_ends[source - 1] if source else 0)


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
        part, sources = _write(folder, 0, blocks, model)
        if not part.texts:
            raise InputError(f"{path}: expected texts, got none")
        write_checksummed(folder / _NAME, IndexInfo(_FORMAT, model, dim, (part,), sources))


def add_to_index(path: str | os.PathLike[str], blocks: Iterable[Block]) -> None:
    """Add texts to an index: all of them, or none if it ends early.

    Those who have the index open go on with what it was.

    Raises:
        InputError: it is no index, another process is adding to it, or a vector is not finite.
    """
    target = Path(path)
    with _locked(target):
        info = read_checksummed(target / _NAME, IndexInfo)
        with scratch_folder(target / "new") as folder:
            part, sources = _write(folder, len(info.parts), blocks, info.model)
            if not part.texts:
                return
            for file in folder.iterdir():
                flush_to_disk(file)
                os.replace(file, target / file.name)
        flush_to_disk(target)
        grown = replace(info, parts=(*info.parts, part), sources=(*info.sources, *sources))
        write_checksummed(target / _NAME, grown)


def _write(
    folder: Path, number: int, blocks: Iterable[Block], model: Stamp
) -> tuple[PartEntry, tuple[Source, ...]]:
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


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Be the only process that adds to an index."""
    if not (path / _NAME).is_file():
        raise InputError(f"{path}: expected an index, with {_NAME} in it")
    lock = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another process is adding to it; wait for its end") from None
        yield
    finally:
        os.close(lock)
