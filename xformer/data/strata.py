"""Weights of examples inside a language: in which of its draws the examples of each weight come.

The examples of a language that have one weight are a stratum. A stratum gets its share of the language's
draws, spread evenly: of the first J draws, a share p within one or two of p·J. The draws of a stratum and
their ranks are computed from the number of the draw, by Beatty's sequence: with a share p, draw j belongs to
it where ⌊(j+1)·p + φ⌋ exceeds ⌊j·p + φ⌋, and is number ⌊j·p + φ⌋ of its draws. Of more than two strata, the
smallest is separated first, then the smallest of the rest.

Shapes: E examples, L languages, C weights, Q draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.counter_rng import random_bits, uniform

_PHASE = int.from_bytes(b"phase")  # so that other uses of the seed give other numbers


@dataclass(frozen=True)
class Weights:
    """A weight for each example.

    Attributes:
        values: (C,) different weights from 0; an example of weight 0 is not drawn.
        of_example: (E,) place in `values`.
    """

    values: NDArray[np.float64]
    of_example: NDArray[np.unsignedinteger]

    @classmethod
    def of(cls, weights: NDArray[np.floating]) -> Weights:
        """Collect the weights (E,) of examples."""
        values, places = np.unique(weights, return_inverse=True)
        return cls(values.astype(np.float64), places.astype(np.min_scalar_type(len(values))))

    @property
    def positive(self) -> NDArray[np.bool_]:
        """(E,) whether an example is drawn at all."""
        found: NDArray[np.bool_] = (self.values > 0)[self.of_example]
        return found


class Strata:
    """The strata of every language, smallest share first.

    Attributes:
        place: (L, C) of each weight: its place among the strata of the language.
        size: (L, C) examples of each stratum, by place.
        first: (L, C) where each begins among the examples, sorted by language and place.
    """

    def __init__(self, counts: NDArray[np.integer], values: NDArray[np.float64]) -> None:
        """Arrange the strata.

        Args:
            counts: (L, C) examples of each language and weight.
            values: (C,) the weights.
        """
        mass = counts * values
        # Empty strata come last, where nothing reaches them.
        order = np.argsort(np.where(mass > 0, mass, np.inf), axis=1, kind="stable")
        self.place = np.argsort(order, axis=1, kind="stable")
        self.size = np.take_along_axis(counts, order, axis=1).astype(np.int64)
        sizes = self.size.sum(axis=1)
        self.first = (np.cumsum(sizes) - sizes)[:, None] + np.cumsum(self.size, axis=1) - self.size
        sorted_mass = np.take_along_axis(mass, order, axis=1)
        rest = np.cumsum(sorted_mass[:, ::-1], axis=1)[:, ::-1]
        # The last stratum with examples takes all that is left.
        last = np.count_nonzero(sorted_mass > 0, axis=1) - 1
        self._share = np.divide(sorted_mass, rest, out=np.ones_like(rest), where=rest > 0)
        self._share[np.arange(len(last)), np.maximum(last, 0)] = 1.0

    def phases(self, seed: int) -> NDArray[np.float64]:
        """(L, C) in [0, 1): where the sequences of a sampler begin."""
        language, place = np.indices(self._share.shape)
        found = uniform(random_bits(_PHASE, seed, language.ravel(), place.ravel())).reshape(language.shape)
        return np.where(self._share < 1.0, found, 0.0)

    def locate(
        self, languages: NDArray[np.int64], ordinals: NDArray[np.int64], phases: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The stratum of draws, and how many draws of the same stratum came before.

        Args:
            languages: (Q,) of the draws.
            ordinals: (Q,) number of draws of the language before.
            phases: (L, C) from `phases`.

        Returns:
            (Q,) places of strata, and (Q,) ranks in them.
        """
        stratum = np.full(len(languages), -1, dtype=np.int64)
        rank = ordinals.astype(np.int64)
        for place in range(self._share.shape[1]):
            share, phase = self._share[languages, place], phases[languages, place]
            before = np.floor(rank * share + phase).astype(np.int64)
            here = np.floor((rank + 1) * share + phase).astype(np.int64) > before
            free = stratum < 0
            stratum[free & here] = place
            rank = np.where(free, np.where(here, before, rank - before), rank)
        return stratum, rank
