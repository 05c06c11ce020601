"""Which text stands beside which: translation pairs out of groups.

Shapes: E examples, P pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError


class TranslationPairs:
    """The examples that have a translation, and a translation for each.

    Kept in memory are two numbers an example and four a group, each in as few bytes as hold it.
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
            group: (E,) what each example says; equal numbers are translations of one another.
            language: (E,) its language.
            whole: (E,) whether it is a whole text. Pieces of cut texts are left out: they are not
                translations.
            pivot: the language that is preferred as a partner.
            pivot_share: chance that an example in another language gets its partner in the pivot, where its
                group has one.

        Raises:
            InputError: there are no two texts of one group in two languages.
        """
        members = np.flatnonzero(whole)
        # By group, then language, so that a group is one run and a language one run in it.
        members = members[np.lexsort((language[members], group[members]))]
        runs, first, size = np.unique(group[members], return_index=True, return_counts=True)
        self._language = language
        self._members = _small(members)
        self._run_of = np.zeros(len(group), dtype=np.min_scalar_type(len(runs)))
        self._run_of[members] = np.repeat(np.arange(len(runs)), size)
        self._first, self._size = _small(first), _small(size)
        # A run is sorted by language, so a group's pivot texts are a run too, perhaps an empty one.
        self._pivot, self._pivot_share = pivot, pivot_share if pivot is not None else 0.0
        pivots = np.flatnonzero(language[members] == (-1 if pivot is None else pivot))
        of_run = np.searchsorted(runs, group[members[pivots]])
        self._pivot_size = _small(np.bincount(of_run, minlength=len(runs)))
        self._pivot_first = np.zeros_like(self._first)
        self._pivot_first[of_run[::-1]] = pivots[::-1]
        by_run = language[members]
        # A run has two languages if its first and its last differ, being sorted.
        self._several = by_run[first] != by_run[first + size - 1] if len(runs) else np.zeros(0, dtype=bool)
        if not self._several.any():
            raise InputError("translation pairs: expected groups with texts in two languages, found none")

    def examples(self) -> NDArray[np.integer]:
        """(M,) numbers of the examples that have a translation, ascending."""
        return np.sort(self._members[np.repeat(self._several, self._size)])

    def partners(self, examples: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """One translation of each: in the pivot by the chance given, else any of its group, each as likely.

        Args:
            examples: (P,) numbers out of `examples()`.
            rng: the source of chance.

        Returns:
            (P,) example numbers.
        """
        run = self._run_of[examples]
        # Sums of NumPy's largest unsigned numbers with signed ones would be of floats.
        first, size = self._first[run].astype(np.int64), self._size[run]
        chosen = self._members[first + rng.integers(0, size)]
        # Draw again where the language is its own. A group has another one, so this ends.
        while (same := self._language[chosen] == self._language[examples]).any():
            chosen[same] = self._members[first[same] + rng.integers(0, size[same])]
        if self._pivot_share:
            may = (self._language[examples] != self._pivot) & (self._pivot_size[run] > 0)
            takes = np.flatnonzero(may & (rng.random(len(examples)) < self._pivot_share))
            offset = rng.integers(0, self._pivot_size[run[takes]])
            chosen[takes] = self._members[self._pivot_first[run[takes]].astype(np.int64) + offset]
        return chosen.astype(np.int64)


def _small(numbers: NDArray[np.integer]) -> NDArray[np.integer]:
    """The same, all from 0, in as few bytes as hold the largest."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
