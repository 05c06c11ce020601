"""A memory-mapped file whose size is checked before it is read."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError


class MappedFile:
    """A read-only array in a file.

    A map stays valid if the file is removed or replaced. But if the file itself is cut short, reading the
    missing part is a SIGBUS, which ends the process without a message. So call `require_whole` before
    reading `array`. Only a cut in the microseconds between the two is still a SIGBUS.

    Attributes:
        array: (n,) the content of the file.
    """

    def __init__(self, path: Path, dtype: str) -> None:
        """Map a file.

        Args:
            path: the file.
            dtype: of its numbers, as a NumPy string.
        """
        self._path, self._map = path, None
        # Not np.memmap: slicing a subclass takes several times as long.
        self.array: NDArray[np.integer] = np.empty(0, dtype=dtype)
        with open(path, "rb") as file:
            if path.stat().st_size:  # an empty file cannot be mapped
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self.array = np.frombuffer(self._map, dtype=dtype)

    def require_whole(self) -> None:
        """Check the size of the file; takes a microsecond.

        Raises:
            InputError: the size changed after it was mapped; the message has the file and both sizes.
        """
        if self._map is not None and (size := self._map.size()) != len(self._map):
            raise InputError(
                f"{self._path}: expected {len(self._map):,} bytes, found {size:,}; it was changed while it"
                " was in use"
            )
