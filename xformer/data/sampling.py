"""Language-balanced sampling of examples.

Each draw is a pure function of its number. So there is no state to save: a resumed run goes on with the same
text, and workers that take different ranges of draws do not overlap. Orders are computed (`permutation`), so
memory holds one number per example. Inside a language, examples may have weights (`strata`).

Shapes: L languages, E examples, K slots of a period.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xformer.data.counter_rng import fold_in, random_bits
from xformer.data.permutation import permuted
from xformer.data.strata import Strata, Weights
from xformer.errors import InputError

_SLOTS = 1 << 14
_ORDER = int.from_bytes(b"order")  # so that other uses of the seed give other numbers


def language_shares(
    counts: NDArray[np.integer] | NDArray[np.floating], alpha: float, max_repeats: float = float("inf")
) -> NDArray[np.float64]:
    """Sampling shares p_l ∝ n_l^alpha (Conneau and Lample 2019), with a cap on repetition.

    The share of a language is at most `max_repeats` times its size n_l / Σn. The rest goes to the languages
    below the cap, in proportion to their shares.

    Args:
        counts: (L,) texts of each language, or the sum of their weights; a language without texts gets
            share 0.
        alpha: 1 for the languages' own sizes, 0 for equal shares.
        max_repeats: at least 1; infinity for no cap.

    Returns:
        (L,) shares that sum to 1.

    Raises:
        InputError: there are no texts.
    """
    if not counts.sum():
        raise InputError("sampling: expected at least one text, found none in any language")
    size = counts / counts.sum()
    wanted = np.where(counts > 0, size**alpha, 0.0)
    wanted = wanted / wanted.sum()
    limit = np.multiply(size, max_repeats, where=size > 0, out=np.zeros(len(size)))  # 0 times infinity: 0
    capped = np.zeros(len(counts), dtype=bool)
    shares = wanted
    # Each round caps at least one more language, so there are at most L rounds.
    while (over := ~capped & (shares > limit * (1 + 1e-12))).any():
        capped |= over
        free = np.where(capped, 0.0, wanted)
        rest = 1.0 - limit[capped].sum()
        shares = np.where(capped, limit, free * (rest / free.sum() if free.sum() else 0.0))
    return shares / shares.sum()


class ByLanguage:
    """Examples sorted by language; samplers with different seeds share one.

    Attributes:
        examples: (E,) their numbers, language after language, in as few bytes as possible.
        first: (L,) where each language begins in `examples`.
        size: (L,) number of examples of each language.
        weight: (L,) sum of the weights of its examples; `size` where examples have no weights.
        strata: the examples of each language by weight; None where examples have no weights.
    """

    weight: NDArray[np.integer] | NDArray[np.floating]

    def __init__(
        self,
        language: NDArray[np.integer],
        n_languages: int,
        among: NDArray[np.integer] | None = None,
        weights: Weights | None = None,
    ) -> None:
        """Sort examples.

        Args:
            language: of every example.
            n_languages: L.
            among: (E,) the examples to use; None for all.
            weights: of every example; those of weight 0 are left out. None: all have the same.
        """
        if weights is not None:
            drawn = weights.positive
            among = np.flatnonzero(drawn) if among is None else among[drawn[among]]
        mine = language if among is None else language[among]
        self.strata = None
        if weights is None:
            order = np.argsort(mine, kind="stable")
        else:
            size, which = len(weights.values), weights.of_example[among]
            pairs = np.bincount(mine.astype(np.int64) * size + which, minlength=n_languages * size)
            counts = pairs.reshape(n_languages, size)
            self.strata = Strata(counts, weights.values)
            order = np.lexsort((self.strata.place[mine, which], mine))
        examples: NDArray[np.integer] = order if among is None else among[order]
        self.examples = examples.astype(np.min_scalar_type(len(language)))
        self.size = np.bincount(mine, minlength=n_languages)
        self.first = np.cumsum(self.size) - self.size
        self.weight = self.size if weights is None else counts @ weights.values


class LanguageSampler:
    """An endless sequence of examples, addressed by draw number.

    A period has K draws. In each period every language gets its share of them, to within one, in a new random
    order. The examples of a language come without repetition until all have come, then in a new order. Where
    they have weights, this holds for those of each weight, which get their share of the language's draws.

    Attributes:
        shares: (L,) the requested shares.
    """

    def __init__(self, examples: ByLanguage, shares: NDArray[np.float64], seed: int) -> None:
        """Prepare a sequence.

        Args:
            examples: the examples to draw from.
            shares: (L,) from `language_shares`.
            seed: of the order.
        """
        self.shares = shares
        self._examples, self._seed = examples, seed
        # Slot k goes to the language whose part of [0, 1) contains the middle of the slot.
        middles = (np.arange(_SLOTS) + 0.5) / _SLOTS
        self._slots = np.minimum(np.searchsorted(np.cumsum(shares), middles, side="right"), len(shares) - 1)
        self._per_period = np.bincount(self._slots, minlength=len(shares))
        self._period = lru_cache(maxsize=2)(self._shuffle_slots)
        self._phases = None if examples.strata is None else examples.strata.phases(seed)

    def draw(self, start: int, count: int) -> NDArray[np.int64]:
        """The examples of draws `start` to `start + count - 1`, `(count,)`."""
        numbers = np.arange(start, start + count, dtype=np.int64)
        languages, ordinals = np.empty((2, count), dtype=np.int64)
        for period in range(start // _SLOTS, (start + count - 1) // _SLOTS + 1):
            here = numbers // _SLOTS == period
            of_slot, ranks = self._period(period)
            place = numbers[here] % _SLOTS
            languages[here] = of_slot[place]
            ordinals[here] = period * self._per_period[of_slot[place]] + ranks[place]
        return self._of(languages, ordinals)

    def draw_together(self, number: int, count: int) -> NDArray[np.int64]:
        """`count` examples of the language of draw `number`, `(count,)`.

        They come in the order of that language's examples. Each draw of the language continues where its
        previous one ended.
        """
        period, place = divmod(number, _SLOTS)
        of_slot, ranks = self._period(period)
        language = of_slot[place]
        earlier = period * self._per_period[language] + ranks[place]
        return self._of(np.full(count, language), np.arange(earlier * count, (earlier + 1) * count))

    def _shuffle_slots(self, period: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The language of each slot, and the number of earlier slots of that language, both (K,)."""
        languages = np.random.default_rng((self._seed, 0, period)).permutation(self._slots)
        by_language = np.argsort(languages, kind="stable")
        first = np.cumsum(self._per_period) - self._per_period
        ranks = np.empty(_SLOTS, dtype=np.int64)
        ranks[by_language] = np.arange(_SLOTS) - np.repeat(first, self._per_period)
        return languages, ranks

    def _of(self, languages: NDArray[np.int64], ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Example number `ordinals` in the sequence of each language."""
        key = fold_in(random_bits(_ORDER, self._seed), languages)
        strata = self._examples.strata
        if strata is None or self._phases is None:
            first, size = self._examples.first[languages], self._examples.size[languages]
        else:
            stratum, ordinals = strata.locate(languages, ordinals, self._phases)
            first, size = strata.first[languages, stratum], strata.size[languages, stratum]
            key = fold_in(key, stratum)
        epoch, place = np.divmod(ordinals, size)
        place = first + permuted(place, size, fold_in(key, epoch))
        return self._examples.examples[place].astype(np.int64)
