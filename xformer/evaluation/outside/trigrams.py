"""The baseline that knows no language: cosines of TF-IDF vectors of character trigrams.

It finds translations by what texts share as they are written: names, numbers, loanwords, cognates. A model of
languages should be far above it.

Shapes: E texts, Q queries, K candidates, G trigrams.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SPACES = re.compile(r"\s+")
_CELLS_AT_ONCE = 1 << 21


class Trigrams:
    """TF-IDF vectors of some texts, which `retrieval` takes for its similarities.

    A text is lowercased, runs of spaces become one, and one space is put at each end. Its vector has, for
    each trigram, the count times ln((1 + E) / (1 + texts that have it)) + 1, and length 1: what
    scikit-learn's `TfidfVectorizer(analyzer="char", ngram_range=(3, 3))` computes.

    Args:
        texts: all texts that are compared, in every language.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        numbers: dict[str, int] = {}
        columns: list[int] = []
        counts: list[int] = []
        lengths = np.empty(len(texts), dtype=np.int64)
        for row, text in enumerate(texts):
            shown = f" {_SPACES.sub(' ', text.lower()).strip()} "
            found = Counter(shown[start : start + 3] for start in range(len(shown) - 2))
            columns += [numbers.setdefault(gram, len(numbers)) for gram in found]
            counts += found.values()
            lengths[row] = len(found)
        self._column = np.array(columns, dtype=np.int64)
        self._start = np.concatenate([[0], np.cumsum(lengths)])
        self._width = len(numbers)
        holders = np.bincount(self._column, minlength=self._width)
        weight = np.array(counts, dtype=np.float64)
        weight *= (np.log((1 + len(texts)) / (1 + holders)) + 1)[self._column]
        squares = np.bincount(np.repeat(np.arange(len(texts)), lengths), weight**2, minlength=len(texts))
        self._weight = weight / np.sqrt(np.maximum(squares, 1e-300)).repeat(lengths)

    def __len__(self) -> int:
        return len(self._start) - 1

    def with_keys(self, keys: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], Tensor]:
        """Cosines with these texts, see `Similarity`."""
        rows, columns, weights = self._cells(keys)
        # By trigram: which of the keys have it, and its weight there.
        order = np.argsort(columns, kind="stable")
        holders, weights = rows[order], weights[order]
        begins = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=self._width))])
        at_once = max(1, _CELLS_AT_ONCE // max(1, len(keys)))

        def some(queries: NDArray[np.int64]) -> NDArray[np.float64]:
            asked, grams, of_query = self._cells(queries)
            found = begins[grams + 1] - begins[grams]
            place = _ranges(begins[grams], found)
            cells = np.repeat(asked * len(keys), found) + holders[place]
            products = np.repeat(of_query, found) * weights[place]
            sums = np.bincount(cells, weights=products, minlength=len(queries) * len(keys))
            return sums.astype(np.float64, copy=False)  # integers where there is no product

        def cosines(queries: NDArray[np.int64]) -> Tensor:
            parts = [queries[start : start + at_once] for start in range(0, len(queries), at_once)]
            return torch.from_numpy(np.concatenate([some(part) for part in parts]).reshape(-1, len(keys)))

        return cosines

    def _cells(
        self, texts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Row (place in `texts`), column and weight of each trigram of some texts."""
        lengths = self._start[texts + 1] - self._start[texts]
        rows = np.repeat(np.arange(len(texts)), lengths)
        cells = _ranges(self._start[texts], lengths)
        return rows, self._column[cells], self._weight[cells]


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers start, start + 1, … of each range, end to end."""
    before = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
