"""A file that is read by memory map, and asked whether it is all there before it is read."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError


class MappedFile:
    """An array in a file.

    A map keeps a file that is removed or replaced by another. But where the file itself is cut short, to
    touch what is gone is SIGBUS, which ends a process without a word. So whoever reads `array` calls
    `require_whole` first. A file that is cut in the microseconds between the two is still a SIGBUS.

    Attributes:
        array: (n,) what the file holds, read-only.
    """

    def __init__(self, path: Path, dtype: str) -> None:
        """Map a file.

        Args:
            path: the file.
            dtype: of its numbers, as NumPy spells it.
        """
        self._path, self._map = path, None
        # Plain arrays: slicing np.memmap, a subclass, takes several times as long.
        self.array: NDArray[np.integer] = np.empty(0, dtype=dtype)
        with open(path, "rb") as file:
            if path.stat().st_size:  # an empty file cannot be mapped
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self.array = np.frombuffer(self._map, dtype=dtype)

    def require_whole(self) -> None:
        """Ask the system how large the file is; a microsecond.

        Raises:
            InputError: it has another size than when it was mapped; the file and both sizes are named.
        """
        if self._map is not None and (size := self._map.size()) != len(self._map):
            raise InputError(
                f"{self._path}: expected {len(self._map):,} bytes, found {size:,}; it was changed while it"
                " was in use"
            )
