"""Near duplicates, found exactly and not by an estimate, for many texts at a time.

Two texts are near duplicates if the Jaccard overlap (shared over all) of the character trigrams of their
deduplication keys is at least a threshold t. MinHash only estimates this overlap, and its estimate is worst
for short texts, which most corpora of messages consist of. The exact answer is cheap too:

1. A near duplicate of a text with n trigrams has at least ⌈t·n⌉ of them, so it lacks at most n - ⌈t·n⌉. If
   the trigrams of both are put in one order, the first n - ⌈t·n⌉ + 1 of either have one in common (prefix
   filtering: Chaudhuri et al. 2006, Bayardo et al. 2007). With the rarest first, few texts have.
2. Of these, most have another number of trigrams than the threshold allows, or differ in too many bits of a
   signature, in which each trigram sets one bit of 256 (bitmap filtering: Sandes et al. 2020).
3. The few that are left are compared in full.

Shapes: N indexed texts, Q queries, P pairs of a query and an indexed text, G pairs of text and trigram.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xformer.data.trigrams import (
    MOST_TEXTS,
    SIGNATURE_WORDS,
    Codes,
    Ints,
    NumberTable,
    Trigrams,
    labelled,
    ranges,
    signatures,
)

_SLACK = 1e-9  # so that 0.7 · 10 does not exceed 7 in floating point
_AT_ONCE = 1 << 17  # pairs that are looked at together
_LOW = np.uint64(2**32 - 1)


class NearDuplicates:
    """An index of texts, each with a label; finds the near duplicates of other texts under their labels.

    Memory: about 30 bytes for each different trigram of each text, and 50 for each text.

    Args:
        keys: (N,) deduplication keys of the texts.
        labels: (N,) from 0 to `MOST_TEXTS` - 1: only texts of equal labels are compared.
        threshold: smallest Jaccard overlap of near duplicates, above 0 and at most 1.
    """

    def __init__(self, keys: Sequence[str], labels: NDArray[np.integer], threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold: expected above 0 and at most 1, got {threshold}")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < MOST_TEXTS:
            raise ValueError(f"labels: expected from 0 to {MOST_TEXTS - 1:,}, got {labels.max():,}")
        self._threshold = threshold
        self._trigrams = Trigrams()
        terms = [np.zeros(0, dtype=np.uint64)]
        sizes = [np.zeros(0, dtype=np.int64)]
        self._signatures = np.zeros((len(keys), SIGNATURE_WORDS), dtype=np.uint64)
        for first in range(0, len(keys), MOST_TEXTS):
            part = slice(first, first + MOST_TEXTS)
            text, code = self._trigrams(keys[part])
            size = len(keys[part])
            sizes.append(np.bincount(text, minlength=size))
            terms.append(labelled(labels[part][text], code))
            self._signatures[part] = signatures(text, code, size)
        self._sizes = np.concatenate(sizes)
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)])
        different, place, frequency = np.unique(
            np.concatenate(terms), return_inverse=True, return_counts=True
        )
        del terms
        rank = np.empty(len(different), dtype=np.int32)
        rank[np.argsort(frequency, kind="stable")] = np.arange(len(different), dtype=np.int32)
        self._table = NumberTable(different, rank)
        # The ranks of each text, ascending.
        text = np.repeat(np.arange(len(keys)), self._sizes)
        _, self._ranks = _split(np.sort(_joined(text, rank[place]), kind="stable"))
        # For each rank, the texts that have it among their first.
        first_ones = np.arange(len(text)) - self._starts[text] <= self._spare(self._sizes)[text]
        text, ranks = text[first_ones], self._ranks[first_ones]
        self._holders = text[np.argsort(ranks, kind="stable")].astype(np.int32)
        held = np.bincount(ranks, minlength=len(different))
        self._held_from = np.concatenate([[0], np.cumsum(held)])

    def __len__(self) -> int:
        return len(self._sizes)

    def find(self, keys: Sequence[str], labels: NDArray[np.integer]) -> tuple[Ints, Ints]:
        """The near duplicates of some texts.

        Args:
            keys: (Q,) their keys.
            labels: (Q,) their labels; below 0 for texts that have none.

        Returns:
            (P,) places of queries, ascending, and (P,) numbers of indexed texts, ascending for each query.
        """
        nothing = np.zeros(0, dtype=np.int64)
        found = [(nothing, nothing)]
        asked = np.flatnonzero(labels >= 0) if len(self) else nothing
        for first in range(0, len(asked), MOST_TEXTS):
            rows = asked[first : first + MOST_TEXTS]
            query, number = self._find([keys[row] for row in rows.tolist()], labels[rows])
            found.append((rows[query], number))
        queries, numbers = zip(*found, strict=True)
        return np.concatenate(queries), np.concatenate(numbers)

    def _find(self, keys: Sequence[str], labels: NDArray[np.integer]) -> tuple[Ints, Ints]:
        text, code = self._trigrams(keys)
        sizes = np.bincount(text, minlength=len(keys))
        rank = self._table.find(labelled(labels[text], code))
        # Trigrams that no indexed text has are the rarest, so they use up the lacking ones first.
        spare = self._spare(sizes) - np.bincount(text[rank < 0], minlength=len(keys))
        hopeful = spare[text] >= 0
        text, code, rank = text[hopeful], code[hopeful], rank[hopeful]
        signed = signatures(text, code, len(keys))
        known = rank >= 0
        own = np.sort(_joined(text[known], rank[known]), kind="stable")
        text, rank = _split(own)
        first = np.arange(len(text)) - np.searchsorted(text, np.arange(len(keys)))[text] <= spare[text]
        pairs = [
            self._similar(query, number, sizes, signed)
            for query, number in self._candidates(text[first], rank[first])
        ]
        query, number = _split(np.unique(np.concatenate([np.zeros(0, dtype=np.uint64), *pairs])))
        near = self._overlap(query, number, sizes, own)
        return query[near], number[near].astype(np.int64)

    def _candidates(self, text: Ints, rank: NDArray[np.int32]) -> Iterator[tuple[Ints, NDArray[np.int32]]]:
        """Pairs of a query and an indexed text that have one of their first trigrams in common."""
        begin = self._held_from[rank]
        held = self._held_from[rank + 1] - begin
        for part in _parts(held):
            yield np.repeat(text[part], held[part]), self._holders[ranges(begin[part], held[part])]

    def _similar(self, query: Ints, number: NDArray[np.int32], sizes: Ints, signed: Codes) -> Codes:
        """The pairs whose sizes and signatures allow the overlap, each as one number."""
        t, ours, theirs = self._threshold, sizes[query], self._sizes[number]
        fits = (theirs >= t * ours - _SLACK) & (ours >= t * theirs - _SLACK)
        query, number, both = query[fits], number[fits], (ours + theirs)[fits]
        different = np.bitwise_count(signed[query] ^ self._signatures[number]).sum(axis=1)
        # A trigram that only one of them has changes one bit at most; t limits how many there are.
        fits = different <= both * (1 - t) / (1 + t) + 1e-6
        return _joined(query[fits], number[fits])

    def _overlap(self, query: Ints, number: NDArray[np.int32], sizes: Ints, own: Codes) -> NDArray[np.bool_]:
        """Whether each pair overlaps enough, counted from all trigrams; `own` are those of the queries."""
        result = np.zeros(len(query), dtype=np.bool_)
        held = self._sizes[number]
        for part in _parts(held):
            size = held[part]
            theirs = self._ranks[ranges(self._starts[number[part]], size)]
            wanted = _joined(np.repeat(query[part], size), theirs)
            place = np.minimum(np.searchsorted(own, wanted), len(own) - 1)
            pair = np.repeat(np.arange(len(size)), size)
            shared = np.bincount(pair[own[place] == wanted], minlength=len(size))
            result[part] = shared >= self._threshold * (sizes[query[part]] + size - shared) - _SLACK
        return result

    def _spare(self, sizes: Ints) -> Ints:
        """How many of so many trigrams a near duplicate may lack."""
        return sizes - np.ceil(self._threshold * sizes - _SLACK).astype(np.int64)


def _parts(sizes: Ints) -> Iterator[slice]:
    """Slices of an array, each of items whose sizes add up to about `_AT_ONCE` at most."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    edges = np.searchsorted(ends, np.arange(0, total, _AT_ONCE), "right")
    for start, stop in pairwise([*edges.tolist(), len(sizes)]):
        if start < stop:
            yield slice(start, stop)


def _joined(first: NDArray[np.integer], second: NDArray[np.integer]) -> Codes:
    """One number for two below 2³²."""
    return (first.astype(np.uint64) << np.uint64(32)) | second.astype(np.uint64)


def _split(both: Codes) -> tuple[Ints, NDArray[np.int32]]:
    return (both >> np.uint64(32)).astype(np.int64), (both & _LOW).astype(np.int32)
