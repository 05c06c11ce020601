"""Texts that other texts may repeat, exactly or nearly: one look-up for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from xformer.data.groups import distinct_rows
from xformer.data.near_duplicates import NearDuplicates
from xformer.data.trigrams import Ints


@dataclass(frozen=True)
class Repeats:
    """What of Q texts repeats what of an index.

    Attributes:
        exact: (E,) places of texts that repeat one exactly, ascending.
        exact_key: (E,) numbers of the keys that they repeat.
        near: (P,) places of texts that repeat one nearly, ascending; exact ones are among them.
        near_entry: (P,) numbers of the entries that they repeat.
    """

    exact: Ints
    exact_key: Ints
    near: Ints
    near_entry: Ints


class TextIndex:
    """An index of R texts by deduplication key.

    A text repeats another *exactly* if their keys are equal, in any two languages: related languages and
    untranslated names share many. It repeats one *nearly* (`NearDuplicates`) if the languages differ at most
    in region or script, as `pt-BR` and `pt-PT` do.

    Attributes:
        key: (R,) the number of each text's key.
        first: (K,) the first row that has each key.
        entries: (N,) the first rows that have each key in each language without region and script.

    Args:
        keys: (R,) deduplication keys.
        languages: (R,) tags.
        threshold: of `NearDuplicates`.
    """

    def __init__(self, keys: Sequence[str], languages: Sequence[str], threshold: float) -> None:
        self._number: dict[str, int] = {}
        self._label: dict[str, int] = {}
        self.key = np.array([self._number.setdefault(key, len(self._number)) for key in keys], dtype=np.int64)
        self.first = np.unique(self.key, return_index=True)[1]
        label_of = {
            tag: self._label.setdefault(_primary(tag), len(self._label)) for tag in dict.fromkeys(languages)
        }
        label = np.array([label_of[tag] for tag in languages], dtype=np.int64)
        self.entries = distinct_rows(label, self.key)
        of_entries = [keys[row] for row in self.entries.tolist()]
        self._near = NearDuplicates(of_entries, label[self.entries], threshold)

    def find(self, keys: Sequence[str], languages: Sequence[str]) -> Repeats:
        """Find what some texts repeat.

        Args:
            keys: (Q,) their deduplication keys.
            languages: (Q,) their tags.
        """
        label_of = {tag: self._label.get(_primary(tag), -1) for tag in set(languages)}
        label = np.fromiter(map(label_of.__getitem__, languages), dtype=np.int64, count=len(languages))
        number = np.fromiter(map(self._number.get, keys, repeat(-1)), dtype=np.int64, count=len(keys))
        exact = np.flatnonzero(number >= 0)
        return Repeats(exact, number[exact], *self._near.find(keys, label))


def _primary(language: str) -> str:
    return language.partition("-")[0]
