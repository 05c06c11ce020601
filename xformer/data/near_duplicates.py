"""Near duplicates, found exactly and not by an estimate, for many texts at a time.

Two texts are near duplicates if the Jaccard overlap (shared over all) of the character trigrams of their
deduplication keys is at least a threshold t. MinHash only estimates this overlap, and its estimate is worst
for short texts, which most corpora of messages consist of. The exact answer is cheap too:

1. A near duplicate of a text with n trigrams has at least ⌈t·n⌉ of them, so it lacks at most n - ⌈t·n⌉. If
   the trigrams of both are put in one order, the first n - ⌈t·n⌉ + 1 of either have one in common (prefix
   filtering: Chaudhuri et al. 2006, Bayardo et al. 2007). With the rarest first, few texts have. The order is
   that of slots, to which trigrams are hashed: trigrams that share a slot count as one. That only makes more
   texts alike, which the last step tells apart.
2. Of these, most have too few trigrams left from the first common one on (positional filtering: Xiao et al.
   2008), or differ in too many bits of a signature, in which each trigram sets one bit of 256 (bitmap
   filtering: Sandes et al. 2020).
3. The few that are left are compared in full.

Shapes: N indexed texts, Q queries, P pairs of a query and an indexed text, G pairs of text and trigram, S
slots.
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
    Trigrams,
    label_of,
    labelled,
    ranges,
    signatures,
    slots,
)

_SLACK = 1e-9  # so that 0.7 · 10 does not exceed 7 in floating point
_AT_ONCE = 1 << 17  # pairs, or trigrams of pairs, that are looked at together
_LEAST_SIZE = 2 * _AT_ONCE // MOST_TEXTS  # of a pair, so that no more than MOST_TEXTS are compared together
_MOST_SLOT_BITS = 24
_LOW = np.uint64(2**32 - 1)


class NearDuplicates:
    """An index of texts, each with a label; finds the near duplicates of other texts under their labels.

    Memory: about 20 bytes for each different trigram of each text, and 50 for each text.

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
        self._threshold, self._labels = threshold, labels.astype(np.uint16)
        self._trigrams = Trigrams()
        codes = [np.zeros(0, dtype=np.uint64)]
        sizes = [np.zeros(0, dtype=np.int64)]
        self._signatures = np.zeros((len(keys), SIGNATURE_WORDS), dtype=np.uint64)
        for first in range(0, len(keys), MOST_TEXTS):
            part = slice(first, first + MOST_TEXTS)
            text, code = self._trigrams(keys[part])
            size = len(keys[part])
            sizes.append(np.bincount(text, minlength=size))
            codes.append(code)
            self._signatures[part] = signatures(text, code, size)
        self._codes, self._sizes = np.concatenate(codes), np.concatenate(sizes)
        self._starts = np.cumsum(self._sizes) - self._sizes
        del codes
        self._slot_bits = min(max(4, len(self._codes).bit_length()), _MOST_SLOT_BITS)
        slot = slots(labelled(np.repeat(labels, self._sizes), self._codes), self._slot_bits)
        frequency = np.bincount(slot, minlength=1 << self._slot_bits)
        used = np.flatnonzero(frequency)
        # (S,) -1 for a slot that no indexed text has.
        self._rank = np.full(len(frequency), -1, dtype=np.int32)
        self._rank[used[np.argsort(frequency[used], kind="stable")]] = np.arange(len(used), dtype=np.int32)
        text, rank, left = _first(self._rank[slot], self._sizes, self._spare(self._sizes))
        # For each rank, the texts that have it among their first, and how many trigrams from there on.
        order = np.argsort(rank, kind="stable")
        self._holders, self._held_left = text[order].astype(np.int32), left[order].astype(np.int32)
        self._held_from = np.concatenate([[0], np.cumsum(np.bincount(rank, minlength=len(used)))])

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
        starts = np.cumsum(sizes) - sizes
        rank = self._rank[slots(labelled(np.repeat(labels, sizes), code), self._slot_bits)]
        known = rank >= 0
        count = np.add.reduceat(known, starts, dtype=np.int64)
        # Trigrams that no indexed text has are the rarest, so they use up the lacking ones first.
        spare = self._spare(sizes) - sizes + count
        count[spare < 0] = 0
        hopeful = np.repeat(spare >= 0, sizes)
        known &= hopeful
        signed = signatures(text[hopeful], code[hopeful], len(keys))
        found = [np.zeros(0, dtype=np.uint64)]
        found += self._similar(*_first(rank[known], count, spare), sizes, signed)
        query, number = _split(np.unique(np.concatenate(found)))
        # Trigrams under other labels may share a slot, too.
        same = labels[query] == self._labels[number]
        query, number = query[same], number[same]
        near = self._overlap(query, number, starts, sizes, code)
        return query[near], number[near].astype(np.int64)

    def _similar(
        self, text: Ints, rank: NDArray[np.int32], left: Ints, sizes: Ints, signed: Codes
    ) -> Iterator[Codes]:
        """Pairs of a query and an indexed text that may have enough trigrams in common, each as one number.

        Args:
            text: places of queries.
            rank: of the slots of their first trigrams.
            left: how many trigrams are left from there on.
            sizes: (Q,) how many trigrams each query has.
            signed: (Q, SIGNATURE_WORDS) signatures of the queries.
        """
        t, begin = self._threshold, self._held_from[rank]
        held = self._held_from[rank + 1] - begin
        for part in _parts(held):
            query, of_held = np.repeat(text[part], held[part]), ranges(begin[part], held[part])
            number = self._holders[of_held]
            # Two texts have no more in common than is left in either from the first one that both have.
            most = np.minimum(np.repeat(left[part], held[part]), self._held_left[of_held])
            both = sizes[query] + self._sizes[number]
            fits = most * (1 + t) >= t * both - _SLACK
            query, number, both = query[fits], number[fits], both[fits]
            different = np.bitwise_count(signed[query] ^ self._signatures[number]).sum(axis=1)
            # A trigram that only one has changes one bit at most; the threshold limits how many there are.
            fits = different <= both * (1 - t) / (1 + t) + 1e-6
            yield _joined(query[fits], number[fits])

    def _overlap(
        self, query: Ints, number: NDArray[np.int32], starts: Ints, sizes: Ints, code: Codes
    ) -> NDArray[np.bool_]:
        """Whether each pair overlaps enough, counted from all trigrams.

        Args:
            query: (P,) places of queries.
            number: (P,) numbers of indexed texts.
            starts: (Q,) where the trigrams of each query begin in `code`.
            sizes: (Q,) how many it has.
            code: (G,) trigrams of the queries.
        """
        result = np.zeros(len(query), dtype=np.bool_)
        ours, theirs = sizes[query], self._sizes[number]
        for part in _parts(np.maximum(ours + theirs, _LEAST_SIZE)):
            pair, a, b = np.arange(len(ours[part])), ours[part], theirs[part]
            of_both = np.concatenate(
                [
                    labelled(np.repeat(pair, a), code[ranges(starts[query[part]], a)]),
                    labelled(np.repeat(pair, b), self._codes[ranges(self._starts[number[part]], b)]),
                ]
            )
            of_both.sort()
            twice = of_both[1:][of_both[1:] == of_both[:-1]]
            shared = np.bincount(label_of(twice), minlength=len(pair))
            result[part] = shared >= self._threshold * (a + b - shared) - _SLACK
        return result

    def _spare(self, sizes: Ints) -> Ints:
        """How many of so many trigrams a near duplicate may lack."""
        return sizes - np.ceil(self._threshold * sizes - _SLACK).astype(np.int64)


def _first(rank: NDArray[np.int32], sizes: Ints, spare: Ints) -> tuple[Ints, NDArray[np.int32], Ints]:
    """Of each text its first ranks, ascending: one more than it may lack.

    Args:
        rank: (G,) ranks, text after text.
        sizes: (Q,) how many each text has.
        spare: (Q,) how many each text may lack.

    Returns:
        Places of texts, ranks, and how many ranks the text has from there on.
    """
    both = _joined(np.repeat(np.arange(len(sizes)), sizes), rank)
    both.sort()
    place = np.arange(len(both)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    first = np.flatnonzero(place <= np.repeat(spare, sizes))
    text, rank = _split(both[first])
    return text, rank, sizes[text] - place[first]


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
