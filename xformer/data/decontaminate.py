"""Decontamination: find the records of a corpus that overlap named test sets."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.data.batches import Batch, batches
from xformer.data.dedup_keys import DedupKeys
from xformer.data.deduplicate import EXACT, NO, HeldOut, KeyedTexts
from xformer.data.record import Record
from xformer.data.trigrams import Ints, ranges

# In scripts without spaces between words, each letter counts as a word.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W\d_{_SPACELESS}]+")

_ODD = np.uint64(0x9E3779B97F4A7C15)

Overlap = tuple[str, str]
"""The name of a test set, and how it is overlapped: "exact", "near" or "n-gram"."""


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
        self._held_out: dict[str, HeldOut] = {}
        key_of = DedupKeys()
        ngrams: list[NDArray[np.uint64]] = []
        for name, records in test_sets:
            if name in self._held_out:
                raise ValueError(f"test sets: expected different names, got {name!r} twice")
            keys: list[str] = []
            languages: list[str] = []
            of_set = [np.zeros(0, dtype=np.uint64)]
            for batch in batches(records):
                keys += key_of.of(batch.text)
                languages += batch.language
                of_set.append(np.unique(self._ngrams_of(batch.text)[1]))
            self._held_out[name] = HeldOut(KeyedTexts(keys, languages), threshold)
            ngrams.append(np.unique(np.concatenate(of_set)))
        # The n-grams of all sets, ascending; of equal ones the first set counts.
        sizes = [len(of_set) for of_set in ngrams]
        every = np.concatenate([np.zeros(0, dtype=np.uint64), *ngrams])
        self._ngrams, first = np.unique(every, return_index=True)
        self._set = np.repeat(np.arange(len(sizes)), sizes)[first]

    def overlaps(self, batch: Batch, keys: Sequence[str]) -> dict[int, Overlap]:
        """The records that overlap a test set, by their place in a batch.

        Args:
            batch: Q records.
            keys: (Q,) their deduplication keys.
        """
        found: dict[int, Overlap] = {}
        names = list(self._held_out)
        texts = KeyedTexts(keys, batch.language)
        for name in names:
            how = self._held_out[name].compare(texts)
            for place in np.flatnonzero(how != NO).tolist():
                found.setdefault(place, (name, "exact" if how[place] == EXACT else "near"))
        if len(self._ngrams):
            text, ngram = self._ngrams_of(batch.text)
            known = np.minimum(np.searchsorted(self._ngrams, ngram), len(self._ngrams) - 1)
            same = self._ngrams[known] == ngram
            for place, which in zip(text[same].tolist(), self._set[known[same]].tolist(), strict=True):
                found.setdefault(place, (names[which], "n-gram"))
        return found

    def _ngrams_of(self, texts: Sequence[str]) -> tuple[Ints, NDArray[np.uint64]]:
        """The hashes of all n-grams of some texts, in order, and the places of their texts."""
        n = self._n
        words: list[str] = []
        places, ends = array("q"), array("q", [0])
        for place, text in enumerate(texts):
            folded = text.casefold()
            if len(folded) >= n and len(found := _WORD.findall(folded)) >= n:
                places.append(place)
                words += found
                ends.append(len(words))
        # Python's hash of a text has 64 bits and differs from process to process; here it never leaves one.
        hashes = np.array(list(map(hash, words)), dtype=np.int64).view(np.uint64)
        ngram = np.zeros(max(len(words) - n + 1, 0), dtype=np.uint64)
        for shift in range(n):
            ngram = ngram * _ODD + hashes[shift : shift + len(ngram)]
        bounds = np.array(ends)
        sizes = np.diff(bounds) - n + 1
        return np.repeat(np.array(places), sizes), ngram[ranges(bounds[:-1], sizes)]
