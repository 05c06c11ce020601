"""The words of many texts at a time, as numbers.

Shapes: Q texts, W words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.data.counter_rng import random_bits
from xformer.data.trigrams import Ints

Hashes = NDArray[np.uint64]

_BETWEEN = "\0"
_UNKNOWN, _OTHER, _LETTER, _ALONE = range(4)
_BASE = np.uint64(0x9E3779B97F4A7C15)


class Words:
    """Finds the words of texts: runs of letters, as long as they go, and letters that are words alone.

    Each word becomes 64 bits, a polynomial of its letters (Karp and Rabin 1987), mixed. Equal words become
    equal numbers, in every process.

    Args:
        fold: is applied to the texts: `str.casefold` or `str.lower`.
        letter: matches every character that is part of a word. NUL is none.
        alone: matches those of them that are words alone; None for none.
    """

    def __init__(
        self, fold: Callable[[str], str], letter: re.Pattern[str], alone: re.Pattern[str] | None = None
    ) -> None:
        self._fold, self._letter, self._alone = fold, letter, alone
        self._kind = np.zeros(0x110000, dtype=np.uint8)  # _UNKNOWN
        self._value = np.zeros(0x110000, dtype=np.uint64)
        self._powers = np.ones(1, dtype=np.uint64)

    def __call__(self, texts: Sequence[str], least: int = 1) -> tuple[Ints, Hashes]:
        """The words of those texts that have enough.

        Args:
            texts: (Q,) in any language.
            least: texts with fewer words are left out.

        Returns:
            (W,) places of texts, ascending, and (W,) hashes of their words, in their order.
        """
        if not texts:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
        codes, lengths = self._characters(texts)
        kind = self._kinds(codes)
        letter, alone = kind >= _LETTER, kind == _ALONE
        begins = letter.copy()
        begins[1:] &= ~letter[:-1] | alone[1:] | alone[:-1]
        count = np.add.reduceat(begins, np.cumsum(lengths) - lengths, dtype=np.int64)
        letter &= np.repeat(count >= least, lengths)
        count[count < least] = 0
        starts = np.flatnonzero(begins[letter])
        return np.repeat(np.arange(len(texts)), count), self._hashes(codes[letter], starts)

    def _characters(self, texts: Sequence[str]) -> tuple[NDArray[np.uint32], Ints]:
        """The codes of the folded texts, each followed by a NUL, and (Q,) how many each has."""
        folded = self._fold(_BETWEEN.join([*texts, ""]))
        codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        ends = np.flatnonzero(codes == ord(_BETWEEN))
        if len(ends) == len(texts):
            return codes, np.diff(ends, prepend=-1)
        # A text has a NUL itself.
        return codes, np.array([len(self._fold(text)) + 1 for text in texts], dtype=np.int64)

    def _kinds(self, codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
        kind = self._kind[codes]
        if not kind.all():
            new = np.unique(codes[kind == _UNKNOWN])
            self._kind[new] = [self._kind_of(chr(code)) for code in new.tolist()]
            self._value[new] = random_bits(new)
            kind = self._kind[codes]
        return kind

    def _kind_of(self, character: str) -> int:
        if self._alone and self._alone.fullmatch(character):
            return _ALONE
        return _LETTER if self._letter.fullmatch(character) else _OTHER

    def _hashes(self, letters: NDArray[np.uint32], starts: NDArray[np.intp]) -> Hashes:
        """The hashes of words.

        Args:
            letters: of all words, one after the other.
            starts: (W,) where each word begins.
        """
        if not len(starts):
            return np.zeros(0, dtype=np.uint64)
        sizes = np.diff(starts, append=len(letters))
        longest = int(sizes.max())
        if longest > len(self._powers):
            self._powers = np.full(longest, _BASE)
            self._powers[0] = 1
            np.cumprod(self._powers, out=self._powers)
        place = np.arange(len(letters)) - np.repeat(starts, sizes)
        return random_bits(np.add.reduceat(self._value[letters] * self._powers[place], starts))
