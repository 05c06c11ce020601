"""Unigram model, the baseline of the masked LM: it predicts a token by its frequency, without context.

Shapes: L languages, V vocabulary, S hidden tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xformer.data.counts import count_tokens
from xformer.data.reporting import ProgressCallback
from xformer.data.shards import TokenShards
from xformer.objectives import MaskedBatch
from xformer.tokenizer.special import FIRST_BYTE_ID

_GRID = 2.0 ** np.arange(21)
_HELD_OUT = 10


@dataclass(frozen=True)
class Unigram:
    """Token frequencies by language, smoothed with the frequencies in all languages.

    p(t | l) = (c(l, t) + μ_l·p(t)) / (c(l) + μ_l), with p(t) = (c(t) + 1) / (c + V'): Dirichlet smoothing
    (Zhai and Lafferty 2004) with add-one smoothing over the V' tokens that are not special.

    Attributes:
        counts: (L, V) count of each token in each language.
        shared: (V,) p(t), over all languages.
        pseudo_tokens: (L,) μ, the weight of the shared frequencies, in tokens.
    """

    counts: NDArray[np.int64]
    shared: NDArray[np.float64]
    pseudo_tokens: NDArray[np.float64]

    @classmethod
    def fit(cls, train: TokenShards, *, progress: ProgressCallback | None = None) -> Unigram:
        """Count the training split.

        For each language, μ is the power of two that best predicts a tenth of the groups from the other nine.
        The counts are of all groups.

        Args:
            train: the training split.
            progress: called with ("count tokens", texts done, texts in all).
        """
        counts = count_tokens(train, progress=progress)
        held = count_tokens(train, np.asarray(train.group) % _HELD_OUT == 0)
        pseudo_tokens = _choose_smoothing(counts - held, held)
        return cls(counts, _shared(counts), pseudo_tokens)

    def surprisal(self, batch: MaskedBatch) -> NDArray[np.float64]:
        """−log₂ p (S,) of a batch's hidden tokens."""
        targets, language = batch.targets.cpu().numpy(), batch.language
        smoothing = self.pseudo_tokens[language]
        upper = self.counts[language, targets] + smoothing * self.shared[targets]
        bits: NDArray[np.float64] = np.log2(self.counts.sum(axis=1)[language] + smoothing) - np.log2(upper)
        return bits

    def blind(self) -> Unigram:
        """The same model without the language: p(t) for all languages, as a new masked-LM head predicts."""
        return replace(
            self, counts=np.zeros_like(self.counts), pseudo_tokens=np.ones_like(self.pseudo_tokens)
        )

    def with_languages(self, number: int) -> Unigram:
        """The same model with more languages, `number` in all, of which it knows no text: p(t) for these."""
        more = number - len(self.counts)
        return replace(
            self,
            counts=np.pad(self.counts, ((0, more), (0, 0))),
            pseudo_tokens=np.pad(self.pseudo_tokens, (0, more), constant_values=1.0),
        )


def _shared(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    total = counts.sum(axis=0).astype(np.float64)
    total[FIRST_BYTE_ID:] += 1
    total[:FIRST_BYTE_ID] = 0
    shared: NDArray[np.float64] = total / total.sum()
    return shared


def _choose_smoothing(counts: NDArray[np.int64], held: NDArray[np.int64]) -> NDArray[np.float64]:
    """(L,) the value of the grid under which the held-out counts of each language cost the fewest bits."""
    language, token = np.nonzero(held)
    shared, sizes = _shared(counts), counts.sum(axis=1)
    costs = np.empty((len(_GRID), len(counts)))
    for row, smoothing in enumerate(_GRID):
        upper = counts[language, token] + smoothing * shared[token]
        bits = held[language, token] * (np.log2(sizes[language] + smoothing) - np.log2(upper))
        costs[row] = np.bincount(language, weights=bits, minlength=len(counts))
    best = costs.argmin(axis=0)
    # A language without held-out tokens takes the best value of all languages together.
    best[held.sum(axis=1) == 0] = costs.sum(axis=1).argmin()
    return _GRID[best]
