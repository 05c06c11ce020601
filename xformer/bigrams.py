"""Bigrams: two neighbouring tokens have an embedding of their own, which both of them get.

A bag of subwords cannot tell "not found" from "found not". Attention can learn to, slowly; a table that has a
row for each pair of neighbours knows it after it has seen the pair. A hidden token gets the pairs of its
neighbours and the mask: what is counted after the one, and before the other. It also gets rows for more of
what stands around it, `CONTEXTS`, as the n-grams of a language model that looks both ways.

There are too many pairs for a row each, so a hash tells which they share (Joulin et al. 2017, "Bag of Tricks
for Efficient Text Classification"; Weinberger et al. 2009).

Shapes: T tokens, G of them hidden, K contexts, R rows, C d_model.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.kernels.operation import is_eager
from xformer.packed import Packed
from xformer.tables import Table

_FIRST, _SECOND = 0x2545F4914F6CDD1D, 0x1B873593CC9E2D51
"""Odd, so that multiplying by them loses nothing modulo 2⁶⁴; without any pattern in their bits."""

CONTEXTS: tuple[tuple[int, ...], ...] = ((-2, -1), (1, 2), (-1, 1), (-2,), (2,))
"""What has rows of its own around a hidden token: places beside it, before it or behind."""

_PLACES = {-2: 0x1E3779B97F4A7C15, -1: 0x632BE59BD9B4E019, 1: 0x1D8E4E27C47D124F, 2: 0x5851F42D4C957F2D}
_CONTEXT = 0x0F27599BF4325C37
"""Of a context's number, so that the same tokens in other places are something else."""


class BigramEmbeddings(Table):
    """What each token gets for standing between its neighbours.

    The table starts at zero: a new model is as it would be without. Row 0 is that of no neighbour, and blank.

    Attributes:
        mask_id: of hidden tokens; None if none has rows for its contexts.
    """

    def __init__(self, rows: int, d_model: int, mask_id: int | None = None) -> None:
        super().__init__(rows, d_model, blank=0)
        self.mask_id = mask_id

    def forward(self, batch: Packed) -> Tensor:  # type: ignore[override]
        """(T, C)."""
        n_tokens, n_rows = batch.n_tokens, len(self.weight)
        rows = bigram_rows(batch.tokens, batch.positions, n_rows)
        if self.mask_id is None:
            return _with_the_next(super().forward(rows))
        # On a CPU it costs nothing to ask which tokens are hidden. For a GPU's answer the host would wait, and
        # a compiler has none: there all tokens look something up, the blank row if they are not hidden.
        hidden = batch.tokens == self.mask_id
        asks = batch.tokens.is_cpu and is_eager(batch.tokens)
        at = hidden.nonzero().squeeze(1) if asks else torch.arange(n_tokens, device=hidden.device)
        around = context_rows(batch.tokens, batch.positions, at, n_rows)
        if not asks:
            around = around.where(hidden, 0)
        found = super().forward(torch.cat([rows, around.flatten()]))
        pairs = _with_the_next(found[:n_tokens])
        contexts = found[n_tokens:].view(len(CONTEXTS), -1, found.shape[1]).sum(dim=0)
        return pairs.index_add(0, at, contexts) if asks else pairs + contexts


def bigram_rows(tokens: Tensor, positions: Tensor, rows: int) -> Tensor:
    """The row of each token and the one before it: 0 for the first of a text, else 1 to R-1 by a hash.

    Args:
        tokens: (T,) int64.
        positions: (T,) int64, 0 where a text begins.
        rows: R, at least 2.

    Returns:
        (T,) int64. h = a·x + b·y modulo 2⁶⁴ for x before y; 1 + (h ⊕ h·2⁻³²) modulo 2³¹ modulo R-1.
    """
    before = torch.roll(tokens, 1)  # what is wrong at the first of a text is not used there
    return torch.where(positions > 0, _row(before * _FIRST + tokens * _SECOND, rows), 0)


def context_rows(tokens: Tensor, positions: Tensor, at: Tensor, rows: int) -> Tensor:
    """The row of each context of some tokens, from 1 to R-1 by a hash.

    Args:
        tokens: (T,) int64.
        positions: (T,) int64, 0 where a text begins.
        at: (G,) int64, where in `tokens` those tokens are.
        rows: R, at least 2.

    Returns:
        (K, G) int64. For context k, h = k·c + Σ a_d·x_d modulo 2⁶⁴ over its places d, with x_d the token
        there, or -1 outside of the text; then as in `bigram_rows`.
    """
    beside = {place: factor * _token(tokens, positions, at, place) for place, factor in _PLACES.items()}
    mixed = [
        torch.stack([beside[place] for place in context]).sum(dim=0) + number * _CONTEXT
        for number, context in enumerate(CONTEXTS)
    ]
    return _row(torch.stack(mixed), rows)


def _token(tokens: Tensor, positions: Tensor, at: Tensor, place: int) -> Tensor:
    """(G,) the token at a place beside each; -1 where that is in no text, or in another one."""
    beside = (at + place).clamp(0, max(len(tokens) - 1, 0))
    # Positions that are as far apart as the tokens are in one text: behind its end they begin again.
    same = positions[beside] - positions[at] == place
    return tokens[beside].where(same, -1)


def _row(mixed: Tensor, rows: int) -> Tensor:
    return 1 + ((mixed ^ (mixed >> 32)) & 0x7FFFFFFF) % (rows - 1)


def _with_the_next(before: Tensor) -> Tensor:
    """A token's pair with the next one is the next one's with it: zero where a text begins."""
    return before + F.pad(before[1:], (0, 0, 0, min(1, len(before))))
