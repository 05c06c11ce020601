"""Decontamination: find the records of a corpus that overlap named test sets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from xformer.data.batches import Batch, batches
from xformer.data.dedup_keys import DedupKeys
from xformer.data.number_table import NumberTable
from xformer.data.record import Record
from xformer.data.text_index import TextIndex
from xformer.data.trigrams import Ints
from xformer.data.words import Hashes, Words

# In scripts without spaces between words, each letter counts as a word.
_ALONE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
_LETTER = re.compile(r"[^\W\d_]")

_ODD = np.uint64(0x9E3779B97F4A7C15)

Overlap = tuple[str, str]
"""The name of a test set, and how it is overlapped: "exact", "near" or "n-gram"."""


class Decontaminator:
    """Finds records that overlap a test set; each is looked up in all of them at once. Memory holds the sets.

    A record overlaps a test text if it repeats it exactly or nearly (`TextIndex`), or if both contain the
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
        self._words = Words(str.casefold, _LETTER, _ALONE)
        self._names: list[str] = []
        key_of = DedupKeys()
        keys: list[str] = []
        languages: list[str] = []
        sizes: list[int] = []
        ngrams: list[Hashes] = []
        for name, records in test_sets:
            if name in self._names:
                raise ValueError(f"test sets: expected different names, got {name!r} twice")
            self._names.append(name)
            before, of_set = len(keys), [np.zeros(0, dtype=np.uint64)]
            for batch in batches(records):
                keys += key_of.of(batch.text)
                languages += batch.language
                of_set.append(np.unique(self._ngrams_of(batch.text)[1]))
            sizes.append(len(keys) - before)
            ngrams.append(np.unique(np.concatenate(of_set)))
        # Of equal texts and n-grams those of the first set count.
        self._index = TextIndex(keys, languages, threshold)
        set_of = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self._key_set, self._entry_set = set_of[self._index.first], set_of[self._index.entries]
        every = np.concatenate([np.zeros(0, dtype=np.uint64), *ngrams])
        ngram, first = np.unique(every, return_index=True)
        set_of = np.repeat(np.arange(len(sizes), dtype=np.int32), [len(of_set) for of_set in ngrams])
        self._ngram_set = NumberTable(ngram, set_of[first])

    def overlaps(self, batch: Batch, keys: Sequence[str]) -> dict[int, Overlap]:
        """The records that overlap a test set, by their place in a batch.

        Args:
            batch: Q records.
            keys: (Q,) their deduplication keys.
        """
        nowhere = len(self._names)
        repeats = self._index.find(keys, batch.language)
        exact, near = np.full((2, len(batch)), nowhere)
        exact[repeats.exact] = self._key_set[repeats.exact_key]
        np.minimum.at(near, repeats.near, self._entry_set[repeats.near_entry])
        found: dict[int, Overlap] = {}
        for place in np.flatnonzero((exact < nowhere) | (near < nowhere)).tolist():
            first = min(exact[place], near[place])
            found[place] = self._names[first], "exact" if exact[place] == first else "near"
        text, ngram = self._ngrams_of(batch.text)
        which = self._ngram_set.find(ngram)
        known = which >= 0
        for place, number in zip(text[known].tolist(), which[known].tolist(), strict=True):
            found.setdefault(place, (self._names[number], "n-gram"))
        return found

    def _ngrams_of(self, texts: Sequence[str]) -> tuple[Ints, Hashes]:
        """The places of texts, ascending, and the hashes of their n-grams, in order."""
        place, word = self._words(texts, self._n)
        size = max(len(word) - self._n + 1, 0)
        ngram = np.zeros(size, dtype=np.uint64)
        for shift in range(self._n):
            ngram *= _ODD
            ngram += word[shift : shift + size]
        of_one = place[:size] == place[self._n - 1 :]
        # The largest number is not free to be in a table.
        return place[:size][of_one], ngram[of_one] >> np.uint64(1)
