"""IBM Model 1 (Brown et al. 1993): word alignment from counts alone, the baseline of every aligner.

t(f | e), the probability that word e is translated as f, is learnt by expectation maximisation; each f of a
sentence is made by one of its words e, or by none (the empty word), all with the same probability.

Shapes: E entries: pairs of words that occur in one sentence pair; W pairs of words that occur together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.inspect.analysis.alignment_links import Links

Words = Sequence[str]
_NOTHING = ""


class Model1:
    """t(f | e) for all pairs of words that occur in one sentence pair."""

    def __init__(self, pairs: Sequence[tuple[Words, Words]], rounds: int = 5) -> None:
        """Learn from sentence pairs (e words, f words), in so many rounds."""
        e_ids: dict[str, int] = {_NOTHING: 0}
        f_ids: dict[str, int] = {}
        e_of, f_of, place = [], [], []
        places = 0
        for left, right in pairs:
            es = [0, *(e_ids.setdefault(word, len(e_ids)) for word in left)]
            fs = [f_ids.setdefault(word, len(f_ids)) for word in right]
            e_of.append(np.tile(es, len(fs)))
            f_of.append(np.repeat(fs, len(es)))
            place.append(np.repeat(np.arange(places, places + len(fs)), len(es)))
            places += len(fs)
        entries = np.concatenate(e_of).astype(np.int64) * len(f_ids) + np.concatenate(f_of)
        keys, which = np.unique(entries, return_inverse=True)
        at = np.concatenate(place)
        table = np.ones(len(keys))
        for _ in range(rounds):
            share = table[which]
            share /= np.bincount(at, share, places)[at]  # of each f among the words that may have made it
            counts = np.bincount(which, share, len(keys))
            table = counts / np.bincount(keys // len(f_ids), counts)[keys // len(f_ids)]
        self._e_ids, self._f_ids = e_ids, f_ids
        self._keys: NDArray[np.int64] = keys
        self._table: NDArray[np.float64] = table

    def probability(self, f: str, e: str) -> float:
        """t(f | e); 0 where they never met."""
        if f not in self._f_ids or e not in self._e_ids:
            return 0.0
        key = self._e_ids[e] * len(self._f_ids) + self._f_ids[f]
        at = int(np.searchsorted(self._keys, key))
        return float(self._table[at]) if at < len(self._keys) and self._keys[at] == key else 0.0

    def align(self, left: Words, right: Words) -> Links:
        """A link from each f to the e that most probably made it, unless it was nothing, as (e, f)."""
        links = set()
        for j, f in enumerate(right):
            scores = [self.probability(f, e) for e in left]
            best = max(scores, default=0.0)
            if best > self.probability(f, _NOTHING):
                links.add((scores.index(best), j))
        return frozenset(links)
