"""What repeats held-out text, as plain as it can be defined: one text at a time, each compared with all."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from xformer.data.dedup_keys import DedupKeys
from xformer.data.deduplicate import SAME_MEANING
from xformer.data.record import Record
from xformer.data.trigrams import trigrams

THRESHOLD = 0.7


@dataclass(frozen=True)
class KeyedText:
    """A deduplication key, its language and its group."""

    key: str
    language: str
    group: int


class PlainHeldOut:
    """The definition of `HeldOut`."""

    def __init__(self, texts: Iterable[KeyedText]) -> None:
        self.texts = list(texts)
        self.evidence: dict[tuple[int, int], set[str]] = {}

    def compare(self, text: KeyedText) -> str | None:
        """`exact`, `near` or None; a match counts as evidence about the group."""
        same = {other.key for other in self.texts if other.key == text.key}
        near = {other.key for other in self.texts if _related(text, other) and _near(text.key, other.key)}
        for other in self.texts:
            if other.key in same | near and other.language == text.language:
                self.evidence.setdefault((text.group, other.group), set()).add(text.language)
        return "exact" if same else "near" if near else None

    def repeated_groups(self, languages: Callable[[int], Collection[str]]) -> set[int]:
        """The groups that say what a held-out group says."""
        return {
            group
            for (group, other), shared in self.evidence.items()
            if len(shared) >= SAME_MEANING * len(set(languages(group)) & set(languages(other)))
        }


class PlainDecontaminator:
    """The definition of `Decontaminator`."""

    def __init__(self, test_sets: dict[str, list[Record]], n: int) -> None:
        self._n, self._key = n, DedupKeys()
        self._sets = {name: PlainHeldOut(map(self._keyed, records)) for name, records in test_sets.items()}
        self._ngrams = {
            name: {ngram for record in records for ngram in self._ngrams_of(record.text)}
            for name, records in test_sets.items()
        }

    def overlap(self, record: Record) -> tuple[str, str] | None:
        """The first test set that the record overlaps, and how."""
        for name, held_out in self._sets.items():
            if how := held_out.compare(self._keyed(record)):
                return name, how
        for ngram in self._ngrams_of(record.text):
            for name, ngrams in self._ngrams.items():
                if ngram in ngrams:
                    return name, "n-gram"
        return None

    def _keyed(self, record: Record) -> KeyedText:
        return KeyedText(self._key(record.text), record.language, 0)

    def _ngrams_of(self, text: str) -> list[tuple[str, ...]]:
        words = re.findall(r"[\u4e00-\u9fff]|[^\W\d_\u4e00-\u9fff]+", text.casefold())
        return [tuple(words[start : start + self._n]) for start in range(len(words) - self._n + 1)]


def _related(first: KeyedText, second: KeyedText) -> bool:
    return first.language.partition("-")[0] == second.language.partition("-")[0]


def _near(first: str, second: str) -> bool:
    ours, theirs = trigrams(first), trigrams(second)
    return len(ours & theirs) / len(ours | theirs) >= THRESHOLD - 1e-12
