"""Character trigrams of many texts as numbers, and their signatures: what `near_duplicates` compares.

Shapes: Q texts, G pairs of text and trigram, V different numbers in a table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Codes = NDArray[np.uint64]

_CHARACTER_BITS = 17
_CODE_BITS = 3 * _CHARACTER_BITS

MOST_TEXTS = 1 << (64 - _CODE_BITS)
"""How many texts are numbered together, and how many labels there are."""

SIGNATURE_WORDS = 4
"""Of 64 bits each, in a signature."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FREE = np.uint64(2**64 - 1)


def trigrams(key: str) -> set[str]:
    """The character trigrams of a key. Its beginning and end are marked, so every key has at least one."""
    marked = f"\2{key}\3"
    return {marked[start : start + 3] for start in range(max(len(marked) - 2, 1))}


class Trigrams:
    """Numbers trigrams: equal numbers for equal trigrams, of one instance.

    Characters are numbered in 17 bits as they come; all after the 131,071st count as one. Unicode has some
    150,000 letters and marks, and no corpus uses nearly as many. Memory: 4 MB.
    """

    def __init__(self) -> None:
        self._number = np.zeros(0x110000, dtype=np.uint32)
        self._known = 0

    def __call__(self, keys: Sequence[str]) -> tuple[Ints, Codes]:
        """The different trigrams of each text; the same as `trigrams`.

        Args:
            keys: (Q,) at most `MOST_TEXTS`.

        Returns:
            (G,) places of texts, ascending, and (G,) numbers of trigrams, ascending for each text.
        """
        marked = "".join(["\2", "\3\2".join(keys), "\3\3"])
        number = self._numbered(np.frombuffer(marked.encode("utf-32-le", "surrogatepass"), dtype=np.uint32))
        first, second, third = number[:-2], number[1:-1], number[2:]
        code = (first << np.uint64(2 * _CHARACTER_BITS)) | (second << np.uint64(_CHARACTER_BITS)) | third
        lengths = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
        begins = np.cumsum(lengths + 2) - (lengths + 2)
        # An empty text has one, of its two marks alone.
        code[begins[lengths == 0]] &= ~np.uint64((1 << _CHARACTER_BITS) - 1)
        windows = np.maximum(lengths, 1)
        text = np.repeat(np.arange(len(keys), dtype=np.uint64), windows)
        both = (text << np.uint64(_CODE_BITS)) | code[ranges(begins, windows)]
        both.sort(kind="stable")  # the fastest of the kinds: texts are in order already
        distinct = np.ones(len(both), dtype=np.bool_)
        distinct[1:] = both[1:] != both[:-1]
        both = both[distinct]
        return (both >> np.uint64(_CODE_BITS)).astype(np.int64), both & np.uint64((1 << _CODE_BITS) - 1)

    def _numbered(self, characters: NDArray[np.uint32]) -> Codes:
        number = self._number[characters]
        if not number.all():
            new = np.unique(characters[number == 0])
            numbers = self._known + 1 + np.arange(len(new))
            self._number[new] = np.minimum(numbers, (1 << _CHARACTER_BITS) - 1)
            self._known += len(new)
            number = self._number[characters]
        return number.astype(np.uint64)


def labelled(label: NDArray[np.integer], code: Codes) -> Codes:
    """One number for a label, from 0 to `MOST_TEXTS` - 1, and the number of a trigram."""
    return (label.astype(np.uint64) << np.uint64(_CODE_BITS)) | code


def signatures(text: Ints, code: Codes, size: int) -> Codes:
    """(Q, SIGNATURE_WORDS) for each text one bit of each of its trigrams; equal trigrams have equal bits.

    Args:
        text: (G,) places of texts, ascending.
        code: (G,) numbers of their trigrams.
        size: Q.
    """
    found = np.zeros((size, SIGNATURE_WORDS), dtype=np.uint64)
    if len(text):
        places = (code * _GOLDEN) >> np.uint64(56)
        bits, words = np.uint64(1) << (places & np.uint64(63)), places >> np.uint64(6)
        starts = np.flatnonzero(np.diff(text, prepend=-1))
        for word in range(SIGNATURE_WORDS):
            of_word = np.where(words == np.uint64(word), bits, np.uint64(0))
            found[text[starts], word] = np.bitwise_or.reduceat(of_word, starts)
    return found


def ranges(begin: NDArray[np.integer], size: NDArray[np.integer]) -> Ints:
    """The whole numbers of several ranges, one after the other."""
    ends = np.cumsum(size, dtype=np.int64)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begin - (ends - size), size)


class NumberTable:
    """A hash table from different numbers to values, with open addressing (linear probing).

    Args:
        numbers: (V,) different numbers, below 2⁶⁴ - 1.
        values: (V,) from 0.
    """

    def __init__(self, numbers: Codes, values: NDArray[np.int32]) -> None:
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

    def find(self, numbers: Codes) -> NDArray[np.int32]:
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

    def _slot(self, numbers: Codes) -> Codes:
        return (numbers * _GOLDEN) >> self._shift
