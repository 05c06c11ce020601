"""A part of an index on disk: some texts, their vectors, and the vectors' rounded copies, in plain files.

`N.vectors` holds float32, row after row, and `N.bf16` their copy; `N.int8` a copy of 8 bits, with `N.scales`
in bf16; `N.texts` the texts in UTF-8, end to end; `N.ends` where each of them ends, int64. All numbers are
little-endian. A part is never changed.

Shapes: E texts, B texts of one block, D vector width, P that of the copy of 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.embedding.search.coded import Coded
from xformer.embedding.search.codes import (
    Codes,
    Rounding,
    Vectors,
    fast_dtype,
    has_int8,
    int8_width,
    rounded,
    rounded_to_int8,
    tensor_of,
)
from xformer.storage.checksummed import FileEntry

_KINDS = ("vectors", "bf16", "int8", "scales", "texts", "ends")
_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class PartEntry:
    """A part as the index lists it.

    Attributes:
        number: what its files' names begin with.
        texts: E.
        bf16: what rounding to bf16 did.
        int8: what rounding to 8 bits did.
        files: the files.
    """

    number: int
    texts: int
    bf16: Rounding
    int8: Rounding
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
    bf16, int8 = Rounding(), Rounding()
    with ExitStack() as stack:
        files = {kind: stack.enter_context(open(_path(folder, number, kind), "wb")) for kind in _KINDS}
        for some, block in blocks:
            half, small = rounded(block, torch.bfloat16), rounded_to_int8(block)
            bf16, int8 = bf16 | half.rounding, int8 | small.rounding
            files["vectors"].write(np.ascontiguousarray(block, dtype="<f4").data)
            files["bf16"].write(_bits(half.values).data)
            files["int8"].write(small.values.numpy().data)
            assert small.scales is not None
            files["scales"].write(_bits(small.scales).data)
            encoded = [text.encode() for text in some]
            files["texts"].writelines(encoded)
            sizes = np.cumsum([len(one) for one in encoded], dtype="<i8") + end
            files["ends"].write(sizes.data)
            count, end = count + len(some), int(sizes[-1]) if len(sizes) else end
    entries = tuple(FileEntry.of(_path(folder, number, kind)) for kind in _KINDS)
    return PartEntry(number, count, bf16, int8, entries)


class Part:
    """A part whose files are mapped: only what is looked at is read.

    Attributes:
        vectors: the E vectors and their copies.
    """

    def __init__(self, folder: Path, entry: PartEntry, dim: int) -> None:
        """Map the files, whose sizes were compared with their entries.

        Args:
            folder: of the index.
            entry: as the index lists it.
            dim: D.
        """
        rows, number = entry.texts, entry.number
        exact = _mapped(_path(folder, number, "vectors"), "<f4", (rows, dim))
        codes = Codes(tensor_of(exact), None, Rounding(entry.bf16.length))
        if fast_dtype() == torch.bfloat16:
            codes = Codes(_mapped_bf16(_path(folder, number, "bf16"), (rows, dim)), None, entry.bf16)
        few = None
        if has_int8():
            values = tensor_of(_mapped(_path(folder, number, "int8"), "i1", (rows, int8_width(dim))))
            few = Codes(values, _mapped_bf16(_path(folder, number, "scales"), (rows,)), entry.int8)
        self.vectors = Coded(exact, codes, few)
        self._ends: NDArray[np.int64] = _mapped(_path(folder, number, "ends"), "<i8", (rows,))
        texts = _path(folder, number, "texts")
        self._texts: NDArray[np.uint8] = _mapped(texts, "u1", (texts.stat().st_size,))

    def __len__(self) -> int:
        return len(self._ends)

    def text(self, row: int) -> str:
        """The text of a row."""
        start = int(self._ends[row - 1]) if row else 0
        return bytes(self._texts[start : int(self._ends[row])]).decode()

    def blocks(self) -> Iterator[tuple[list[str], Vectors]]:
        """All texts with their vectors, as `write_part` takes them."""
        for start in range(0, len(self), _ROWS_AT_ONCE):
            rows = range(start, min(start + _ROWS_AT_ONCE, len(self)))
            yield [self.text(row) for row in rows], self.vectors.vectors[rows.start : rows.stop]


def _path(folder: Path, number: int, kind: str) -> Path:
    return folder / f"{number:05}.{kind}"


def _bits(values: Tensor) -> NDArray[np.int16]:
    """bf16 as NumPy can write it."""
    found: NDArray[np.int16] = values.view(torch.int16).numpy().astype("<i2", copy=False)
    return found


def _mapped_bf16(path: Path, shape: tuple[int, ...]) -> Tensor:
    return tensor_of(_mapped(path, "<i2", shape)).view(torch.bfloat16)


def _mapped(path: Path, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if not all(shape):  # nothing cannot be mapped
        return np.empty(shape, dtype=dtype)
    # Writable as far as PyTorch can see, which warns otherwise; what was written would not reach the file.
    return np.asarray(np.memmap(path, dtype=dtype, mode="c", shape=shape))
