"""Deduplication keys, and near duplicates of held-out texts, found exactly and not by an estimate.

Two texts are near duplicates if the Jaccard overlap (shared over all) of the character trigrams of their
deduplication keys is at least a threshold t. MinHash only estimates this overlap, and its estimate is worst
for short texts, which most corpora of messages consist of. The exact answer is cheap too (prefix filtering:
Chaudhuri et al. 2006, Bayardo et al. 2007). A near duplicate has at least ⌈t·n⌉ of a text's n trigrams, so it
lacks at most n - ⌈t·n⌉. Of any n - ⌈t·n⌉ + s trigrams of the text it therefore has s or more (s above 1: Wang
et al. 2012). If the rarest trigrams are taken, few texts pass, and only these are compared in full.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil

import numpy as np

SAME_MEANING = 0.25
"""Share of two groups' common languages that must hold repeated texts; see `HeldOut`."""

_SLACK = 1e-9  # so that 0.7 · 10 does not exceed 7 in floating point

# What a program fills in: %s, %(name)d, %1$s, {}, {name}, {0:.2f}, ${name}.
_PLACEHOLDER = re.compile(r"%(?:\(\w*\)|\d+\$)?[-#0 +]*[\d.*]*[a-zA-Z](?![a-zA-Z])|\$?\{[\w.:!\[\]-]*\}")


class DedupKeys(dict[int, int | None]):
    """Computes deduplication keys of texts, as a `str.translate` table that adds characters as they occur.

    It keeps letters and their marks. Marks stay because Indic and Thai vowels are marks: without them
    different words become equal.

    >>> key = DedupKeys()
    >>> key("Enter a valid e-mail address.") == key("ENTER A VALID  EMAIL ADDRESS: %(email)s")
    True
    """

    def __missing__(self, code: int) -> int | None:
        self[code] = code if unicodedata.category(chr(code))[0] in "LM" else None
        return self[code]

    def __call__(self, text: str) -> str:
        """The letters of `text`: NFKC, casefolded, without placeholders, digits, punctuation and spaces.

        A text with no letter is its own key, after NFKC and with single spaces: `100 %` differs from `→`.
        """
        folded = unicodedata.normalize("NFKC", _PLACEHOLDER.sub(" ", text)).casefold()
        letters = folded.translate(self)
        return letters or " ".join(unicodedata.normalize("NFKC", text).split())


def text_hash(*parts: str) -> int:
    """64 bits of the BLAKE2b hash of a tuple of texts; on collisions see `group_hash`."""
    return int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "little")


def trigrams(key: str) -> set[str]:
    """The character trigrams of a key. Its beginning and end are marked, so every key has at least one."""
    marked = f"\2{key}\3"
    return {marked[start : start + 3] for start in range(max(len(marked) - 2, 1))}


class NearDuplicates:
    """An index of texts that finds the near duplicates of a new text among them.

    Memory holds the indexed texts only.

    Args:
        keys: deduplication keys of the texts, numbered from 0 in this order.
        threshold: smallest Jaccard overlap of near duplicates, above 0 and at most 1.
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
        """The numbers, ascending, of all indexed near duplicates of `key`."""
        grams = trigrams(key)
        size = len(grams)
        ranks = {self._rank[gram] for gram in grams if gram in self._rank}
        least = ceil(self._threshold * size - _SLACK)
        # Trigrams that no indexed text has are the rarest, so they use up the lacking ones first.
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
class KeyedText:
    """A text for comparison: its deduplication key, its language, the hash of its group."""

    key: str
    language: str
    group: int


class HeldOut:
    """The texts of a held-out split; finds the records and groups that repeat them.

    A record repeats a held-out text *exactly* if their deduplication keys are equal, in any two languages:
    related languages and untranslated names share many. It repeats one *nearly* (`NearDuplicates`) if the
    languages differ at most in region or script, as `pt-BR` and `pt-PT` do. Such records are always removed.

    A whole group is removed if it says what a held-out group says: the translations of "Enter a valid email
    address." reveal those of "Enter a valid e-mail address." even if their words differ. This is assumed if
    texts repeat each other in at least `SAME_MEANING` of the languages that both groups have. Removing a
    group for one repeated record would be too much: in the embedded gettext corpus, with a thousand messages
    held out, a quarter of the training groups share some short word with one of them in some language.

    Args:
        texts: the held-out texts.
        threshold: of `NearDuplicates`.
    """

    def __init__(self, texts: Iterable[KeyedText], threshold: float) -> None:
        self._texts: dict[str, list[KeyedText]] = {}
        keys: dict[str, dict[str, None]] = {}
        for text in texts:
            self._texts.setdefault(text.key, []).append(text)
            keys.setdefault(_primary(text.language), {})[text.key] = None
        self._keys = {language: list(distinct) for language, distinct in keys.items()}
        self._near = {
            language: NearDuplicates(distinct, threshold) for language, distinct in self._keys.items()
        }
        self._evidence: dict[tuple[int, int], set[str]] = {}

    def compare(self, text: KeyedText) -> str | None:
        """Compare a text with the held-out ones. A match counts as evidence about its group.

        Returns:
            "exact", "near", or None if it repeats no held-out text.
        """
        key, language = text.key, text.language
        primary = _primary(language)
        repeated = {key} if key in self._texts else set()
        if primary in self._near:
            distinct = self._keys[primary]
            repeated.update(distinct[number] for number in self._near[primary].find(key))
        for other in repeated:
            for held_out in self._texts[other]:
                if held_out.language == language:
                    self._evidence.setdefault((text.group, held_out.group), set()).add(language)
        return None if not repeated else "exact" if key in repeated else "near"

    def repeated_groups(self, languages: Callable[[int], Collection[str]]) -> set[int]:
        """The groups of the compared records that say what a held-out group says.

        Args:
            languages: gives the languages of a group by its hash.
        """
        return {
            group
            for (group, other), shared in self._evidence.items()
            if len(shared) >= SAME_MEANING * len(set(languages(group)) & set(languages(other)))
        }


def _primary(language: str) -> str:
    return language.partition("-")[0]
