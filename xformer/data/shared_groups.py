"""How many groups the languages of a split have in common, counted from its records.

Shapes: G groups, L languages.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import Corpus
from xformer.data.groups import distinct_rows, group_hash
from xformer.data.record import Record

_GROUPS_AT_ONCE = 1 << 13


@dataclass(frozen=True)
class SharedGroups:
    """Which languages translate one another, and how often.

    Attributes:
        languages: tags, sorted.
        counts: (L, L) groups with texts in both languages; on the diagonal, groups of the language that have
            a text in any other.
    """

    languages: tuple[str, ...]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, records: Iterable[Record], max_bytes: int | None = None) -> SharedGroups:
        """Count. Memory: about 10 bytes per record.

        Args:
            records: of one split.
            max_bytes: longer texts, in UTF-8, are left out; None for all texts.
        """
        numbers: dict[str, int] = {}
        language, group = array("H"), array("Q")
        for record in records:
            if max_bytes is None or len(record.text.encode()) <= max_bytes:
                language.append(numbers.setdefault(record.language, len(numbers)))
                group.append(group_hash(record.group))
        tags = sorted(numbers)
        place = np.array([tags.index(tag) for tag in numbers], dtype=np.int64)
        languages, groups = place[np.array(language, dtype=np.int64)], np.array(group)
        rows = distinct_rows(groups, languages)
        return cls(tuple(tags), _shared(groups[rows], languages[rows], len(tags)))

    @property
    def translated(self) -> dict[str, int]:
        """By tag, the groups that have a translation; the commonest language first, without zeros."""
        counts = self.counts.diagonal()
        order = np.argsort(-counts, kind="stable")
        return {self.languages[number]: int(counts[number]) for number in order if counts[number]}

    def with_pivot(self, pivot: str) -> dict[str, int]:
        """By tag of each other language, the groups that it shares with the pivot, without zeros."""
        if pivot not in self.languages:
            return {}
        row = self.counts[self.languages.index(pivot)]
        return {tag: int(row[n]) for n, tag in enumerate(self.languages) if tag != pivot and row[n]}


def has_translations(corpus: Corpus, split: str) -> bool:
    """Whether a group of a split has texts in two languages. Reads until the first that has.

    Raises:
        InputError: the split is damaged.
    """
    entry = corpus.manifest.split(split)
    if len(entry.languages) < 2 or entry.total.records == entry.groups:
        return False
    language: dict[int, str] = {}
    return any(
        language.setdefault(group_hash(record.group), record.language) != record.language
        for record in corpus.records(split)
    )


def _shared(group: NDArray[np.uint64], language: NDArray[np.int64], n_languages: int) -> NDArray[np.int64]:
    """The counts of `SharedGroups`, from different pairs of group and language, sorted by group."""
    counts = np.zeros((n_languages, n_languages), dtype=np.int64)
    _, place, sizes = np.unique(group, return_inverse=True, return_counts=True)
    several = sizes[place] > 1
    place, language = place[several], language[several]
    for first in range(0, len(sizes), _GROUPS_AT_ONCE):
        low, high = np.searchsorted(place, (first, first + _GROUPS_AT_ONCE))
        if low == high:
            continue
        has = np.zeros((_GROUPS_AT_ONCE, n_languages), dtype=np.float32)
        has[place[low:high] - first, language[low:high]] = 1
        counts += (has.T @ has).round().astype(np.int64)
    return counts
