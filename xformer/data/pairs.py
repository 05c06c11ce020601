"""Translation pairs: examples of one group in two languages.

Shapes: E examples, P pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError


class TranslationPairs:
    """Finds translations of examples.

    Memory holds two numbers per example and four per group, each in as few bytes as possible.
    """

    def __init__(
        self,
        group: NDArray[np.integer],
        language: NDArray[np.integer],
        whole: NDArray[np.bool_],
        *,
        pivot: int | None = None,
        pivot_share: float = 0.0,
    ) -> None:
        """Index the groups.

        Args:
            group: (E,) the group of each example; examples of one group are translations.
            language: (E,) its language.
            whole: (E,) whether it is a whole text. Chunks of longer texts are left out: they are not
                translations.
            pivot: the preferred language of translations.
            pivot_share: probability that an example in another language gets its translation in the pivot,
                if its group has one.

        Raises:
            InputError: no group has texts in two languages.
        """
        members = np.flatnonzero(whole)
        # By group, then language: a group is one stretch, and a language is one stretch of it.
        members = members[np.lexsort((language[members], group[members]))]
        groups, first, size = np.unique(group[members], return_index=True, return_counts=True)
        self._language = language
        self._members = _small(members)
        self._place_of = np.zeros(len(group), dtype=np.min_scalar_type(len(groups)))
        self._place_of[members] = np.repeat(np.arange(len(groups)), size)
        self._first, self._size = _small(first), _small(size)
        # The pivot texts of a group are one stretch too, which may be empty.
        self._pivot, self._pivot_share = pivot, pivot_share if pivot is not None else 0.0
        pivots = np.flatnonzero(language[members] == (-1 if pivot is None else pivot))
        of_group = np.searchsorted(groups, group[members[pivots]])
        self._pivot_size = _small(np.bincount(of_group, minlength=len(groups)))
        self._pivot_first = np.zeros_like(self._first)
        self._pivot_first[of_group[::-1]] = pivots[::-1]
        sorted_language = language[members]
        # A group has several languages if its first and last differ, because it is sorted.
        self._several = sorted_language[first] != sorted_language[first + size - 1]
        if not self._several.any():
            raise InputError("translation pairs: expected groups with texts in two languages, found none")

    def examples(self) -> NDArray[np.integer]:
        """(M,) numbers of the examples with a translation, ascending."""
        return np.sort(self._members[np.repeat(self._several, self._size)])

    def partners(self, examples: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw a translation of each: in the pivot with probability `pivot_share`, else any in its group.

        Args:
            examples: (P,) numbers from `examples()`.
            rng: random number generator.

        Returns:
            (P,) example numbers.
        """
        place = self._place_of[examples]
        # NumPy adds its largest unsigned and signed integers as floats.
        first, size = self._first[place].astype(np.int64), self._size[place]
        chosen = self._members[first + rng.integers(0, size)]
        # Draw again where the language is the same. The group has another one, so this ends.
        while (same := self._language[chosen] == self._language[examples]).any():
            chosen[same] = self._members[first[same] + rng.integers(0, size[same])]
        if self._pivot_share:
            may = (self._language[examples] != self._pivot) & (self._pivot_size[place] > 0)
            takes = np.flatnonzero(may & (rng.random(len(examples)) < self._pivot_share))
            offset = rng.integers(0, self._pivot_size[place[takes]])
            chosen[takes] = self._members[self._pivot_first[place[takes]].astype(np.int64) + offset]
        return chosen.astype(np.int64)


def _small(numbers: NDArray[np.integer]) -> NDArray[np.integer]:
    """Numbers of at least 0, in the smallest dtype that holds the largest."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
