"""Pairs of texts that are translations of one another, and pairs that look as if they were.

Shapes: E translations, F trigrams that are told apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from xformer.data.trigrams import trigrams
from xformer.errors import InputError

Negatives = Literal["trigrams", "length", "random"]

TRANSLATION, OTHER = "translation", "other"

_TRIGRAMS = 1 << 13
_AT_ONCE = 1024


def pairs_of(texts: Sequence[tuple[str, str]], negatives: Negatives, seed: int) -> list[tuple[str, str, str]]:
    """Each text with its translation, and with another text in that language; in a random order.

    Args:
        texts: translations of one another, E.
        negatives: the other text. `trigrams`: the one with the nearest character trigrams to the translation
            (cosine of TF-IDF), hard to tell from it; `length`: the one whose length in characters is nearest;
            `random`: any.
        seed: of the order, and of what is drawn or equally near.

    Returns:
        2E rows: a text, another, and `translation` or `other`.

    Raises:
        InputError: there are fewer than two different translations.
    """
    if negatives not in get_args(Negatives):
        raise InputError(f"negatives: expected one of {', '.join(get_args(Negatives))}, got {negatives!r}")
    rng = np.random.default_rng(seed)
    others = [text for _, text in texts]
    allowed = _Allowed(texts)
    if negatives == "trigrams":
        chosen = _by_trigrams(others, allowed)
    elif negatives == "length":
        chosen = _by_length(others, allowed, rng)
    else:
        chosen = [allowed.first(at, rng.permutation(len(texts))) for at in range(len(texts))]
    rows = [(one, other, TRANSLATION) for one, other in texts]
    rows += [(one, others[at], OTHER) for (one, _), at in zip(texts, chosen, strict=True)]
    return [rows[at] for at in rng.permutation(len(rows)).tolist()]


class _Allowed:
    """Which texts may stand beside another as no translation of it."""

    def __init__(self, texts: Sequence[tuple[str, str]]) -> None:
        numbers: dict[str, int] = {}
        both = [[numbers.setdefault(text.casefold(), len(numbers)) for text in pair] for pair in texts]
        self._one, self._other = np.array(both, dtype=np.int64).reshape(-1, 2).T
        if len(set(self._one.tolist())) < 2 or len(set(self._other.tolist())) < 2:
            raise InputError("expected at least two different texts with translations")

    def __call__(self, row: int) -> NDArray[np.bool_]:
        """(E,) for the text of a row: not its translations, nor translations of an equal text."""
        found: NDArray[np.bool_] = self._one != self._one[row]
        return found & ~np.isin(self._other, self._other[~found])

    def first(self, row: int, order: NDArray[np.integer]) -> int:
        """The first of an order that may stand beside a row's text."""
        found = order[self(row)[order]]
        if not len(found):
            raise InputError("a text has no other to stand beside: expected more different translations")
        return int(found[0])


def _by_trigrams(texts: Sequence[str], allowed: _Allowed) -> list[int]:
    counts = np.zeros((len(texts), _TRIGRAMS), dtype=np.float32)
    for row, text in enumerate(texts):
        for trigram in trigrams(text.casefold()):
            counts[row, zlib.crc32(trigram.encode("utf-8", "surrogatepass")) % _TRIGRAMS] = 1.0
    counts *= np.log(len(texts) / np.maximum((counts > 0).sum(axis=0), 1)) + 1.0
    counts /= np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-12)
    found: list[int] = []
    for start in range(0, len(texts), _AT_ONCE):
        near = counts[start : start + _AT_ONCE] @ counts.T
        for row, cosines in enumerate(near, start):
            found.append(allowed.first(row, np.argsort(-cosines, kind="stable")))
    return found


def _by_length(texts: Sequence[str], allowed: _Allowed, rng: np.random.Generator) -> list[int]:
    lengths = np.array([len(text) for text in texts])
    found = []
    for row in range(len(texts)):
        order = rng.permutation(len(texts))  # among equal lengths any
        order = order[np.argsort(np.abs(lengths[order] - lengths[row]), kind="stable")]
        found.append(allowed.first(row, order))
    return found
