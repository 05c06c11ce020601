"""Which text comes next: languages in asked-for shares, texts of a language in turn.

Shapes: L languages, E examples, K slots of a period.

Everything is a pure function of the number of the draw. So there is no state to save, a run that resumes goes
on with the same text, and workers that take different ranges of draws never overlap.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError

_SLOTS = 1 << 14


def language_shares(
    counts: NDArray[np.integer], alpha: float, max_repeats: float = float("inf")
) -> NDArray[np.float64]:
    """Shares p_l ∝ n_l^alpha (Conneau and Lample 2019), with a cap on repetition.

    A language is drawn at most `max_repeats` times as often as its size n_l / Σn would have it; what the cap
    takes goes to the languages below it, in proportion.

    Args:
        counts: (L,) texts of each language; a language without any gets share 0.
        alpha: 1 for the languages' own sizes, 0 for equal shares.
        max_repeats: at least 1; infinity for no cap.

    Returns:
        (L,) shares that sum to 1.

    Raises:
        InputError: there is no text at all.
    """
    if not counts.sum():
        raise InputError("sampling: expected at least one text, found none in any language")
    size = counts / counts.sum()
    wish = np.where(counts > 0, size**alpha, 0.0)
    wish = wish / wish.sum()
    limit = np.multiply(size, max_repeats, where=size > 0, out=np.zeros(len(size)))  # 0 times infinity: 0
    capped = np.zeros(len(counts), dtype=bool)
    shares = wish
    # Each round caps at least one more language, so there are at most L rounds.
    while (over := ~capped & (shares > limit * (1 + 1e-12))).any():
        capped |= over
        free = np.where(capped, 0.0, wish)
        rest = 1.0 - limit[capped].sum()
        shares = np.where(capped, limit, free * (rest / free.sum() if free.sum() else 0.0))
    return shares / shares.sum()


class LanguageSampler:
    """An endless sequence of examples, addressed by draw number.

    Draws come in periods of K. In every period each language has as many as its share asks, to within one, in
    an order shuffled anew; a language's examples come without repetition until all have come, then in a new
    order.

    Attributes:
        shares: (L,) the shares asked for.
    """

    def __init__(self, language: NDArray[np.integer], shares: NDArray[np.float64], seed: int) -> None:
        """Index the examples by language.

        Args:
            language: (E,) the language of each example, a place in `shares`.
            shares: (L,) from `language_shares`.
            seed: of the order.
        """
        self.shares = shares
        self._seed = seed
        order = np.argsort(language, kind="stable")
        bounds = np.searchsorted(language[order], np.arange(len(shares) + 1))
        self._examples = [order[a:b] for a, b in pairwise(bounds)]
        # Slot k belongs to the language in whose part of [0, 1) its middle lies.
        middles = (np.arange(_SLOTS) + 0.5) / _SLOTS
        self._slots = np.minimum(np.searchsorted(np.cumsum(shares), middles, side="right"), len(shares) - 1)
        self._per_period = np.bincount(self._slots, minlength=len(shares))
        # Two orders a language (one epoch ends while the next begins) are small beside the tokens.
        self._order = lru_cache(maxsize=2 * len(shares))(self._shuffle)
        self._period = lru_cache(maxsize=2)(self._shuffle_slots)

    def draw(self, start: int, count: int) -> NDArray[np.int64]:
        """Examples number `start` to `start + count - 1` of the sequence, `(count,)`."""
        numbers = np.arange(start, start + count, dtype=np.int64)
        out = np.empty(count, dtype=np.int64)
        for period in range(start // _SLOTS, (start + count - 1) // _SLOTS + 1):
            here = numbers // _SLOTS == period
            languages, ranks = self._period(period)
            place = numbers[here] % _SLOTS
            out[here] = [
                self._example(int(language), period * int(self._per_period[language]) + int(rank))
                for language, rank in zip(languages[place], ranks[place], strict=True)
            ]
        return out

    def draw_together(self, number: int, count: int) -> NDArray[np.int64]:
        """So many examples of one language, `(count,)`: the language that draw `number` falls on.

        A language's examples come in the same order as ever, each call taking up where its last one ended.
        """
        period, place = divmod(number, _SLOTS)
        languages, ranks = self._period(period)
        language = int(languages[place])
        earlier = period * int(self._per_period[language]) + int(ranks[place])
        ordinals = range(earlier * count, (earlier + 1) * count)
        return np.array([self._example(language, ordinal) for ordinal in ordinals], dtype=np.int64)

    def _shuffle_slots(self, period: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Language of each slot, and how many slots of that language precede it, both (K,)."""
        languages = np.random.default_rng((self._seed, 0, period)).permutation(self._slots)
        by_language = np.argsort(languages, kind="stable")
        first = np.cumsum(self._per_period) - self._per_period
        ranks = np.empty(_SLOTS, dtype=np.int64)
        ranks[by_language] = np.arange(_SLOTS) - np.repeat(first, self._per_period)
        return languages, ranks

    def _example(self, language: int, ordinal: int) -> int:
        examples = self._examples[language]
        epoch, place = divmod(ordinal, len(examples))
        return int(self._order(language, epoch)[place])

    def _shuffle(self, language: int, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, 1, language, epoch)).permutation(self._examples[language])
