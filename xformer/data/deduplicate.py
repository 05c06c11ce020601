"""Texts that repeat held-out ones, and groups that say what a held-out group says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.groups import distinct_rows, starts
from xformer.data.text_index import TextIndex
from xformer.data.trigrams import ranges

SAME_MEANING = 0.25
"""Share of two groups' common languages that must hold repeated texts; see `HeldOut`."""

NO, NEAR, EXACT = range(3)
"""How a text repeats a held-out one."""

_MOST_EVIDENCE = 1 << 18  # rows that are kept before equal ones are removed


@dataclass(frozen=True)
class KeyedTexts:
    """Q texts for comparison.

    Attributes:
        keys: (Q,) deduplication keys.
        languages: (Q,) tags.
        groups: (Q,) uint64, hashes of their groups; None where no groups are asked for.
    """

    keys: Sequence[str]
    languages: Sequence[str]
    groups: NDArray[np.uint64] | None = None


class HeldOut:
    """The texts of a held-out split; finds the records and groups that repeat them.

    Records that repeat a held-out text exactly or nearly (`TextIndex`) are always removed.

    A whole group is removed if it says what a held-out group says: the translations of "Enter a valid email
    address." reveal those of "Enter a valid e-mail address." even if their words differ. This is assumed if
    texts repeat each other in at least `SAME_MEANING` of the languages that both groups have. Removing a
    group for one repeated record would be too much: in the embedded gettext corpus, with a thousand messages
    held out, a quarter of the training groups share some short word with one of them in some language.

    Shapes: K different keys of held-out texts.

    Args:
        texts: the held-out texts.
        threshold: of `NearDuplicates`.
    """

    def __init__(self, texts: KeyedTexts, threshold: float) -> None:
        self._index = TextIndex(texts.keys, texts.languages, threshold)
        self._near_key = self._index.key[self._index.entries]
        self._language: dict[str, int] = {}
        tag = np.array(
            [self._language.setdefault(tag, len(self._language)) for tag in texts.languages], np.int64
        )
        # For each text in each language, its groups.
        groups = np.zeros(0, np.uint64) if texts.groups is None else texts.groups
        text = self._index.key[: len(groups)] * len(self._language) + tag[: len(groups)]
        order = np.argsort(text, kind="stable")
        self._text, self._groups = text[order], groups[order]
        self._evidence: list[NDArray[np.uint64]] = []
        self._found = 0

    def compare(self, texts: KeyedTexts) -> NDArray[np.uint8]:
        """Compare texts with the held-out ones. A match counts as evidence about its group.

        Returns:
            (Q,) `EXACT`, `NEAR`, or `NO` for a text that repeats no held-out one.
        """
        how = np.full(len(texts.keys), NO, dtype=np.uint8)
        found = self._index.find(texts.keys, texts.languages)
        how[found.near] = NEAR
        how[found.exact] = EXACT
        if texts.groups is not None:
            query = np.concatenate([found.near, found.exact])
            number = np.concatenate([self._near_key[found.near_entry], found.exact_key])
            self._add_evidence(texts, query, number)
        return how

    def repeated_groups(self, languages: Callable[[int], Collection[str]]) -> set[int]:
        """The groups of the compared records that say what a held-out group says.

        Args:
            languages: gives the languages of a group by its hash.
        """
        self._keep_evidence_once()
        group, other, _ = self._evidence[0] if self._evidence else np.zeros((3, 0), dtype=np.uint64)
        first = np.flatnonzero(starts(group, other))
        shared = np.diff(np.append(first, len(group)))
        pairs = zip(group[first].tolist(), other[first].tolist(), shared.tolist(), strict=True)
        return {
            group
            for group, other, number in pairs
            if number >= SAME_MEANING * len(set(languages(group)) & set(languages(other)))
        }

    def _add_evidence(self, texts: KeyedTexts, query: NDArray[np.int64], number: NDArray[np.int64]) -> None:
        """Note which groups have a text in common with which held-out groups, and in which language.

        Args:
            texts: the compared texts.
            query: (P,) places of texts that repeat a held-out one.
            number: (P,) numbers of the keys that they repeat.
        """
        assert texts.groups is not None
        tags = [self._language.get(texts.languages[place], -1) for place in query.tolist()]
        tag = np.array(tags, dtype=np.int64)
        query, number, tag = query[tag >= 0], number[tag >= 0], tag[tag >= 0]
        text = number * len(self._language) + tag
        begin = np.searchsorted(self._text, text)
        size = np.searchsorted(self._text, text, "right") - begin
        group = np.repeat(texts.groups[query], size)
        other = self._groups[ranges(begin, size)]
        self._evidence.append(np.stack([group, other, np.repeat(tag, size).astype(np.uint64)]))
        self._found += len(group)
        if self._found > _MOST_EVIDENCE:
            self._keep_evidence_once()

    def _keep_evidence_once(self) -> None:
        if self._evidence:
            rows = np.concatenate(self._evidence, axis=1)
            self._evidence = [rows[:, distinct_rows(*rows)]]
            self._found = 0
