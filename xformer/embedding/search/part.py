"""A part of an index on disk: some texts, their vectors, and the vectors' rounded copy, in four plain files.

`N.vectors` holds float32, `N.codes` bfloat16, both row after row; `N.texts` the texts in UTF-8, end to end;
`N.ends` where each of them ends, int64. All numbers are little-endian. A part is never changed.

Shapes: E texts, B texts of one block, D vector width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.embedding.search.coded import Coded, Vectors, fast_dtype, rounded, tensor_of
from xformer.storage.checksummed import FileEntry

_KINDS = ("vectors", "codes", "texts", "ends")


@dataclass(frozen=True)
class PartEntry:
    """A part as the index lists it.

    Attributes:
        texts: E.
        length: largest length of a vector or its copy.
        error: largest length of the difference of the two.
        files: the four files.
    """

    texts: int
    length: float
    error: float
    files: tuple[FileEntry, ...]


def write_part(folder: Path, number: int, blocks: Iterable[tuple[Sequence[str], Vectors]]) -> PartEntry:
    """Write the files of a part.

    Args:
        folder: where to write.
        number: of the part, from 0.
        blocks: B texts and their vectors (B, D), in order.

    Raises:
        ValueError: a vector is not finite.
    """
    count = end = 0
    length = error = 0.0
    with ExitStack() as stack:
        vectors, codes, texts, ends = (
            stack.enter_context(open(_path(folder, number, kind), "wb")) for kind in _KINDS
        )
        for some, block in blocks:
            copies, one_length, one_error = rounded(block, torch.bfloat16)
            length, error = max(length, one_length), max(error, one_error)
            vectors.write(np.ascontiguousarray(block, dtype="<f4").data)
            codes.write(copies.view(torch.int16).numpy().astype("<i2", copy=False).data)
            encoded = [text.encode() for text in some]
            texts.writelines(encoded)
            sizes = np.cumsum([len(one) for one in encoded], dtype="<i8") + end
            ends.write(sizes.data)
            count, end = count + len(some), int(sizes[-1]) if len(sizes) else end
    files = tuple(FileEntry.of(_path(folder, number, kind)) for kind in _KINDS)
    return PartEntry(count, length, error, files)


class Part:
    """A part whose files are mapped: only what is looked at is read.

    Attributes:
        vectors: the E vectors and their copy.
    """

    def __init__(self, folder: Path, number: int, entry: PartEntry, dim: int) -> None:
        """Map the files, whose sizes were compared with their entries.

        Args:
            folder: of the index.
            number: of the part.
            entry: as the index lists it.
            dim: D.
        """
        shape = (entry.texts, dim)
        exact = _mapped(_path(folder, number, "vectors"), "<f4", shape)
        if fast_dtype() == torch.bfloat16:
            codes = tensor_of(_mapped(_path(folder, number, "codes"), "<i2", shape)).view(torch.bfloat16)
            self.vectors = Coded(exact, codes, entry.length, entry.error)
        else:
            self.vectors = Coded(exact, tensor_of(exact), entry.length, 0.0)
        self._ends: NDArray[np.int64] = _mapped(_path(folder, number, "ends"), "<i8", (entry.texts,))
        texts = _path(folder, number, "texts")
        self._texts: NDArray[np.uint8] = _mapped(texts, "u1", (texts.stat().st_size,))

    def __len__(self) -> int:
        return len(self._ends)

    def text(self, row: int) -> str:
        """The text of a row."""
        start = int(self._ends[row - 1]) if row else 0
        return bytes(self._texts[start : int(self._ends[row])]).decode()


def _path(folder: Path, number: int, kind: str) -> Path:
    return folder / f"{number:05}.{kind}"


def _mapped(path: Path, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if not all(shape):  # nothing cannot be mapped
        return np.empty(shape, dtype=dtype)
    # Writable as far as PyTorch can see, which warns otherwise; what was written would not reach the file.
    return np.asarray(np.memmap(path, dtype=dtype, mode="c", shape=shape))
