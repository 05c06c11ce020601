"""Character trigrams of many texts as numbers, and their signatures: what `near_duplicates` compares.

Shapes: Q texts, G pairs of text and trigram.
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

_SIGNATURE_BITS = 8  # that number the bits of a signature

SIGNATURE_WORDS = (1 << _SIGNATURE_BITS) // 64
"""Of 64 bits each, in a signature."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


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
        marked = "".join(["\2", "\3\2".join(keys), "\3\3\3"])
        number = self._numbered(np.frombuffer(marked.encode("utf-32-le", "surrogatepass"), dtype=np.uint32))
        code = (number[:-2] << np.uint64(2 * _CHARACTER_BITS)) | (number[1:-1] << np.uint64(_CHARACTER_BITS))
        code |= number[2:]
        lengths = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
        ends = np.cumsum(lengths + 2)
        # An empty text has one, of its two marks alone.
        code[ends[lengths == 0] - 2] &= ~np.uint64((1 << _CHARACTER_BITS) - 1)
        # The last two places of a text begin no trigram of it; they repeat its last one instead.
        last = code[ends - 2 - (lengths > 0)]
        code[ends - 2] = code[ends - 1] = last
        code |= np.repeat(np.arange(len(keys), dtype=np.uint64) << np.uint64(_CODE_BITS), lengths + 2)
        code.sort()
        distinct = np.ones(len(code), dtype=np.bool_)
        distinct[1:] = code[1:] != code[:-1]
        code = code[distinct]
        return (code >> np.uint64(_CODE_BITS)).astype(np.int64), code & np.uint64((1 << _CODE_BITS) - 1)

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


def label_of(both: Codes) -> Ints:
    """The labels of what `labelled` made."""
    return (both >> np.uint64(_CODE_BITS)).astype(np.int64)


def slots(numbers: Codes, bits: int) -> Ints:
    """A slot from 0 to 2^`bits` - 1 for each number: equal numbers have equal slots (Fibonacci hashing)."""
    return ((numbers * _GOLDEN) >> np.uint64(64 - bits)).astype(np.int64)


def signatures(text: Ints, code: Codes, size: int) -> Codes:
    """(Q, SIGNATURE_WORDS) for each text one bit of each of its trigrams; equal trigrams have equal bits.

    Args:
        text: (G,) places of texts.
        code: (G,) numbers of their trigrams.
        size: Q.
    """
    bits = np.zeros((size, 1 << _SIGNATURE_BITS), dtype=np.bool_)
    bits[text, slots(code, _SIGNATURE_BITS)] = True
    return np.packbits(bits, axis=1).view(np.uint64)


def ranges(begin: NDArray[np.integer], size: NDArray[np.integer]) -> Ints:
    """The whole numbers of several ranges, one after the other."""
    ends = np.cumsum(size, dtype=np.int64)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begin - (ends - size), size)
