"""Held-out text stays unseen: what repeats it, exactly or nearly, is found, and found exactly.

Two texts are near duplicates when the sets of character trigrams of their keys (`xformer.data.keys`) overlap
by at least `threshold` (Jaccard: shared over all). MinHash would only estimate that, and worst for short
texts, of which a corpus of messages is made. The exact answer is cheap too. Of a text's n trigrams a near
duplicate has at least ⌈t·n⌉, so it lacks at most n - ⌈t·n⌉; whichever n - ⌈t·n⌉ + s of them one picks, it has
s of these or more. Picking the rarest, few texts do (prefix filtering: Chaudhuri et al. 2006, Bayardo et al.
2007; with s above 1: Wang et al. 2012), and only those few are compared in full.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np

SAME_MEANING = 0.25  # of the languages that two groups have

_SLACK = 1e-9  # so that 0.7 · 10 is 7 in floating point too


def trigrams(key: str) -> set[str]:
    """The character trigrams of a key, its beginning and end marked, so that every key has one."""
    marked = f"\2{key}\3"
    return {marked[start : start + 3] for start in range(max(len(marked) - 2, 1))}


class NearDuplicates:
    """An index of texts that finds which of them a new text nearly repeats.

    Its memory is that of the texts it was made from: a held-out set, say. What is compared with it is
    streamed.

    Args:
        keys: the keys of the texts to index; they are numbered from 0 in this order.
        threshold: smallest Jaccard overlap of trigrams that counts, above 0 and at most 1.
    """

    def __init__(self, keys: Iterable[str], threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold: expected above 0 and at most 1, got {threshold}")
        self._threshold = threshold
        sets = [trigrams(key) for key in keys]
        frequency = Counter(gram for grams in sets for gram in grams)
        ordered = sorted(frequency, key=lambda gram: (frequency[gram], gram))
        self._rank = {gram: rank for rank, gram in enumerate(ordered)}
        self._sets = [frozenset(self._rank[gram] for gram in grams) for grams in sets]
        holders: list[list[int]] = [[] for _ in ordered]
        for number, ranks in enumerate(self._sets):
            for rank in ranks:
                holders[rank].append(number)
        self._holders = [np.array(numbers, dtype=np.int32) for numbers in holders]
        self._sizes = np.array([len(ranks) for ranks in self._sets], dtype=np.int32)

    def __len__(self) -> int:
        return len(self._sets)

    def find(self, key: str) -> list[int]:
        """The numbers, ascending, of all indexed texts that `key` nearly repeats."""
        grams = trigrams(key)
        size = len(grams)
        ranks = {self._rank[gram] for gram in grams if gram in self._rank}
        least = ceil(self._threshold * size - _SLACK)
        # What no indexed text has is the rarest of all, and comes first among what may be lacking.
        spare = size - least - (size - len(ranks))
        if spare < 0:
            return []
        shared = max(least // 4, 1)
        rarest = [self._holders[rank] for rank in sorted(ranks)[: spare + shared]]
        candidates = np.flatnonzero(np.bincount(np.concatenate(rarest)) >= shared)
        sizes = self._sizes[candidates]
        fitting = (sizes >= self._threshold * size - _SLACK) & (size >= self._threshold * sizes - _SLACK)
        return [int(number) for number in candidates[fitting] if self._overlaps(ranks, size, number)]

    def _overlaps(self, ranks: set[int], size: int, number: int) -> bool:
        other = self._sets[number]
        shared = len(ranks & other)
        return shared >= self._threshold * (size + len(other) - shared) - _SLACK


@dataclass(frozen=True, slots=True)
class HeldOutText:
    """A text that training must not see: its key, its language, the number of its group."""

    key: str
    language: str
    group: int


class HeldOut:
    """The texts of a held-out split, and a judgement on what would give them away.

    A record repeats a held-out text *exactly* when their keys are equal, in whatever languages: close
    languages and untranslated names share many. It repeats one *nearly* (`NearDuplicates`) when the languages
    differ in region or script at most, as `pt-BR` and `pt-PT` do. Such a record goes, always: the held-out
    text is truly unseen.

    Its whole group goes when it says what a held-out group says, since the translations of "Enter a valid
    email address." give away those of "Enter a valid e-mail address." even where they are worded differently.
    It does when in at least `SAME_MEANING` of the languages that both groups have, one repeats the other.
    Removing the group for any one repeated record would be out of proportion: in the embedded gettext corpus,
    with a thousand messages held out, a quarter of the training groups share some short word in some language
    with one of them.

    Args:
        texts: what is held out.
        threshold: of `NearDuplicates`.
    """

    def __init__(self, texts: Iterable[HeldOutText], threshold: float) -> None:
        self._texts: dict[str, list[HeldOutText]] = {}
        keys: dict[str, dict[str, None]] = {}
        for text in texts:
            self._texts.setdefault(text.key, []).append(text)
            keys.setdefault(_primary(text.language), {})[text.key] = None
        self._keys = {language: list(distinct) for language, distinct in keys.items()}
        self._near = {
            language: NearDuplicates(distinct, threshold) for language, distinct in self._keys.items()
        }
        self._evidence: dict[tuple[int, int], set[str]] = {}

    def judge(self, key: str, language: str, group: int) -> str | None:
        """Does a record repeat a held-out text? What is found counts as evidence about its group.

        Args:
            key: the key of its text.
            language: its language.
            group: the number of its group.

        Returns:
            "exact", "near", or None when it repeats none.
        """
        primary = _primary(language)
        repeated = {key} if key in self._texts else set()
        if primary in self._near:
            distinct = self._keys[primary]
            repeated.update(distinct[number] for number in self._near[primary].find(key))
        for other in repeated:
            for text in self._texts[other]:
                if text.language == language:
                    self._evidence.setdefault((group, text.group), set()).add(language)
        return None if not repeated else "exact" if key in repeated else "near"

    def repeated_groups(self, languages: Callable[[int], Collection[str]]) -> set[int]:
        """The groups, of all records judged so far, that say what a held-out group says.

        Args:
            languages: the languages of a group, judged or held out, by its number.
        """
        return {
            group
            for (group, other), shared in self._evidence.items()
            if len(shared) >= SAME_MEANING * len(set(languages(group)) & set(languages(other)))
        }


def _primary(language: str) -> str:
    return language.partition("-")[0]
