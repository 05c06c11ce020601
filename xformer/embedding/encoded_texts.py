"""Texts and their vectors in temporary files: any of them can be read again, and memory stays small.

Shapes: E texts, B texts of one block, D vector width.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import numpy as np
from numpy.typing import NDArray

from xformer.storage.files import naming


class EncodedTexts:
    """Texts in the order in which they are added, with their vectors where these are given."""

    def __init__(self, texts: IO[bytes], vectors: IO[bytes], dim: int) -> None:
        """Begin with empty files.

        Args:
            texts: for the texts, open for reading and writing.
            vectors: for the vectors, the same.
            dim: D.
        """
        self._texts, self._vectors = texts, vectors
        self._dim, self._ends = dim, array("q", [0])

    @classmethod
    @contextmanager
    def temporary(cls, dim: int) -> Iterator[EncodedTexts]:
        """Texts in files that are gone when the block ends, however it ends."""
        with tempfile.TemporaryFile() as texts, tempfile.TemporaryFile() as vectors:
            yield cls(texts, vectors, dim)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, texts: Sequence[str], vectors: NDArray[np.float32] | None = None) -> None:
        """Add texts, and their vectors (B, D).

        Raises:
            OSError: there is no room; the error names the folder of temporary files.
        """
        with naming(tempfile.gettempdir()):
            for text in texts:
                self._ends.append(self._ends[-1] + self._texts.write(text.encode()))
            if vectors is not None:
                self._vectors.write(np.ascontiguousarray(vectors, dtype=np.float32).data)

    def text(self, row: int) -> str:
        """The text of a row."""
        with naming(tempfile.gettempdir()):
            self._texts.flush()
        start, end = self._ends[row], self._ends[row + 1]
        return os.pread(self._texts.fileno(), end - start, start).decode()

    def vectors(self) -> NDArray[np.float32]:
        """The vectors so far (E, D), mapped from their file; all texts were added with theirs."""
        with naming(tempfile.gettempdir()):
            self._vectors.flush()
        if not len(self):
            return np.empty((0, self._dim), dtype=np.float32)
        return np.memmap(self._vectors, dtype=np.float32, mode="r", shape=(len(self), self._dim))
