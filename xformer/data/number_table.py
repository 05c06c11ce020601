"""A table from numbers to numbers that is asked for many at a time.

Shapes: V different numbers in a table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FREE = np.uint64(2**64 - 1)


class NumberTable:
    """A hash table from different numbers to values, with open addressing (linear probing).

    Args:
        numbers: (V,) different numbers, below 2⁶⁴ - 1.
        values: (V,) from 0.
    """

    def __init__(self, numbers: NDArray[np.uint64], values: NDArray[np.int32]) -> None:
        bits = max(4, (2 * len(numbers)).bit_length())
        self._shift, self._last = np.uint64(64 - bits), np.uint64((1 << bits) - 1)
        self._numbers = np.full(1 << bits, _FREE, dtype=np.uint64)
        self._values = np.full(1 << bits, -1, dtype=np.int32)
        slot = self._slot(numbers)
        while len(numbers):
            free = self._numbers[slot] == _FREE
            self._numbers[slot[free]] = numbers[free]  # of several for one slot, one stays
            placed = self._numbers[slot] == numbers
            self._values[slot[placed]] = values[placed]
            numbers, values = numbers[~placed], values[~placed]
            slot = (slot[~placed] + np.uint64(1)) & self._last

    def find(self, numbers: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The value of each number; -1 for those that are not there."""
        slot = self._slot(numbers)
        seen = self._numbers[slot]
        values = self._values[slot]
        rows = np.flatnonzero((seen != numbers) & (seen != _FREE))
        values[rows] = -1
        slot = slot[rows]
        while len(rows):
            slot = (slot + np.uint64(1)) & self._last
            seen = self._numbers[slot]
            found = seen == numbers[rows]
            values[rows[found]] = self._values[slot[found]]
            going = ~found & (seen != _FREE)
            rows, slot = rows[going], slot[going]
        return values

    def _slot(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return (numbers * _GOLDEN) >> self._shift
