"""Decontamination: find the records of a corpus that overlap named test sets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from xformer.data.deduplicate import DedupKeys, HeldOut, KeyedText, text_hash
from xformer.data.record import Record

# In scripts without spaces between words, each letter counts as a word.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W\d_{_SPACELESS}]+")


class Decontaminator:
    """Finds records that overlap a test set. Memory holds the test sets only.

    A record overlaps a test text if it repeats it exactly or nearly (see `HeldOut`), or if both contain the
    same n words in a row (an n-gram). N-grams find a test text inside a longer document, which near
    duplicates do not. Words are compared without case, punctuation and digits; in scripts without spaces each
    letter is a word. GPT-3 (Brown et al. 2020) used 13 words: shorter n-grams may be common phrases.

    Args:
        test_sets: the name of each, for reports, and its records in all languages; only texts and languages
            are used.
        threshold: of `NearDuplicates`.
        n: words in a row.
    """

    def __init__(
        self, test_sets: Iterable[tuple[str, Iterable[Record]]], *, threshold: float = 0.7, n: int = 13
    ) -> None:
        if n < 1:
            raise ValueError(f"n: expected at least 1 word, got {n}")
        self._n = n
        self._dedup_key = DedupKeys()
        self._held_out: dict[str, HeldOut] = {}
        self._ngrams: dict[int, str] = {}
        for name, records in test_sets:
            if name in self._held_out:
                raise ValueError(f"test sets: expected different names, got {name!r} twice")
            texts: list[KeyedText] = []
            for record in records:
                texts.append(KeyedText(self._dedup_key(record.text), record.language, 0))
                for ngram in self._ngrams_of(record.text):
                    self._ngrams.setdefault(ngram, name)
            self._held_out[name] = HeldOut(texts, threshold)

    def overlap(self, record: Record) -> tuple[str, str] | None:
        """The name of the test set that `record` overlaps and how ("exact", "near", "n-gram"), or None."""
        text = KeyedText(self._dedup_key(record.text), record.language, 0)
        for name, held_out in self._held_out.items():
            how = held_out.compare(text)
            if how:
                return name, how
        for ngram in self._ngrams_of(record.text):
            if ngram in self._ngrams:
                return self._ngrams[ngram], "n-gram"
        return None

    def _ngrams_of(self, text: str) -> Iterator[int]:
        words = _WORD.findall(text.casefold())
        for start in range(len(words) - self._n + 1):
            yield text_hash(*words[start : start + self._n])
