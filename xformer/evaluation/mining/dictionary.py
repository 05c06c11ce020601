"""The baseline of a dictionary and of lengths: what parallel text alone gives, without a network.

The dictionary is IBM model 1 (Brown et al. 1993), both ways. A text covers another as far as its words have
translations there; lengths in characters compare as Gale and Church (1993) have it.

Shapes: E pairs, A and B texts, C pairs of words that stand in a pair of texts.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 5
_LEAST = 0.02
"""Translations that are less probable are left out of the dictionary."""
_WRITTEN_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


def words_of(text: str) -> list[str]:
    """Words in lower case without the punctuation around them; characters of scripts without spaces.

    Vowel signs stay in their words, which the `w` class of regular expressions would cut apart.
    """
    found: list[str] = []
    for chunk in text.lower().split():
        start, end = 0, len(chunk)
        while start < end and unicodedata.category(chunk[start])[0] in "PS":
            start += 1
        while end > start and unicodedata.category(chunk[end - 1])[0] in "PS":
            end -= 1
        word = chunk[start:end]
        if any(unicodedata.name(sign, "").startswith(_WRITTEN_WITHOUT_SPACES) for sign in word):
            found += word
        elif word:
            found.append(word)
    return found


@dataclass(frozen=True)
class Lengths:
    """How much longer a text is than its translation, in characters: a normal distribution of the logarithm.

    Attributes:
        mean: of `ln(b / a)`.
        deviation: its standard deviation, at least 0.1.
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, a: Sequence[str], b: Sequence[str]) -> Lengths:
        """Of pairs of texts."""
        ratios = [math.log(len(y) / len(x)) for x, y in zip(a, b, strict=True) if x and y]
        return cls(float(np.mean(ratios)), max(float(np.std(ratios)), 0.1))

    def likeness(self, a: Sequence[str], b: Sequence[str]) -> NDArray[np.float64]:
        """(A, B) in (0, 1]: the density of each pair's ratio, divided by the largest."""
        left, right = (np.log([max(len(text), 1) for text in texts]) for texts in (a, b))
        off = (right[None, :] - left[:, None] - self.mean) / self.deviation
        found: NDArray[np.float64] = np.exp(-0.5 * off * off)
        return found


class Dictionary:
    """Translations of words with their probabilities, learned from pairs of texts.

    Attributes:
        translations: for each word of the first language, its translations and their probabilities.
    """

    def __init__(self, pairs: Iterable[tuple[list[str], list[str]]]) -> None:
        """Count.

        Args:
            pairs: words of a text and of its translation.

        Raises:
            ValueError: there are no words.
        """
        left: dict[str, int] = {}
        right: dict[str, int] = {}
        cells: list[NDArray[np.int64]] = []
        tokens: list[NDArray[np.int64]] = []
        n_tokens = 0
        for x, y in pairs:
            a = np.array([left.setdefault(word, len(left)) for word in x], dtype=np.int64)
            b = np.array([right.setdefault(word, len(right)) for word in y], dtype=np.int64)
            cells.append(((b[:, None] << 32) | a[None, :]).ravel())
            # Each word of y comes from one of x, so its cells share a number.
            tokens.append(np.repeat(np.arange(n_tokens, n_tokens + len(y)), len(x)))
            n_tokens += len(y)
        if not any(map(len, cells)):
            raise ValueError("dictionary: expected pairs of texts with words, got none")
        both, cell = np.unique(np.concatenate(cells), return_inverse=True)
        source, target = both & 0xFFFFFFFF, both >> 32
        token = np.concatenate(tokens)
        t = np.full(len(both), 1.0)
        for _ in range(_ROUNDS):
            share = t[cell]
            share /= np.bincount(token, share)[token]
            count = np.bincount(cell, share, minlength=len(both))
            t = count / np.bincount(source, count)[source]
        self.translations: dict[str, dict[str, float]] = {}
        names, others = list(left), list(right)
        for place in np.flatnonzero(t >= _LEAST):
            entry = self.translations.setdefault(names[source[place]], {})
            entry[others[target[place]]] = float(t[place])

    def covered(self, a: Sequence[list[str]], b: Sequence[list[str]]) -> NDArray[np.float64]:
        """(A, B) the mean, over a text's words, of the probability of their best translation in another."""
        holders: dict[str, list[int]] = {}
        for row, words in enumerate(b):
            for word in set(words):
                holders.setdefault(word, []).append(row)
        found = np.zeros((len(a), len(b)))
        best: dict[str, NDArray[np.float64]] = {}
        for row, words in enumerate(a):
            for word in words:
                if word not in best:
                    best[word] = np.zeros(len(b))
                    for translation, probability in self.translations.get(word, {}).items():
                        rows = holders.get(translation, [])
                        best[word][rows] = np.maximum(best[word][rows], probability)
                found[row] += best[word]
            found[row] /= max(len(words), 1)
        return found


@dataclass(frozen=True)
class LengthAndDictionary:
    """Similarities by what parallel text teaches.

    Attributes:
        forward: dictionary from the first language to the second.
        backward: the other way.
        lengths: of translations.
    """

    forward: Dictionary
    backward: Dictionary
    lengths: Lengths

    @classmethod
    def learn(cls, a: Sequence[str], b: Sequence[str]) -> LengthAndDictionary:
        """From pairs of texts: `a[i]` is a translation of `b[i]`."""
        left, right = [words_of(text) for text in a], [words_of(text) for text in b]
        return cls(
            Dictionary(zip(left, right, strict=True)),
            Dictionary(zip(right, left, strict=True)),
            Lengths.of(a, b),
        )

    def similarities(self, a: Sequence[str], b: Sequence[str]) -> NDArray[np.float64]:
        """(A, B) the mean of both coverages, times the likeness of lengths."""
        left, right = [words_of(text) for text in a], [words_of(text) for text in b]
        covered = self.forward.covered(left, right) + self.backward.covered(right, left).T
        return covered / 2 * self.lengths.likeness(a, b)
