"""Bigrams: two neighbouring tokens have an embedding of their own, which both of them get.

A bag of subwords cannot tell "not found" from "found not". Attention can learn to, slowly; a table that has a
row for each pair of neighbours knows it after it has seen the pair. A hidden token gets the pairs of its
neighbours and the mask: what is counted after the one, and before the other. There are too many pairs for a
row each, so a hash tells which they share (Joulin et al. 2017, "Bag of Tricks for Efficient Text
Classification"; Weinberger et al. 2009).

Shapes: T tokens, R rows, C d_model.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.model.cpu import EmbeddingTable
from xformer.model.packed import Packed

_FIRST, _SECOND = 0x2545F4914F6CDD1D, 0x1B873593CC9E2D51
"""Odd, so that multiplying by them loses nothing modulo 2⁶⁴; without any pattern in their bits."""


class BigramEmbeddings(EmbeddingTable):
    """What each token gets for standing between its neighbours.

    The table starts at zero: a new model is as it would be without. Row 0 is that of no neighbour, and blank.
    """

    def __init__(self, rows: int, d_model: int) -> None:
        super().__init__(rows, d_model, blank=0)

    def forward(self, batch: Packed) -> Tensor:  # type: ignore[override]
        """(T, C)."""
        before = super().forward(bigram_rows(batch.tokens, batch.positions, len(self.weight)))
        # A token's pair with the next one is the next one's with it: zero where a text begins.
        return before + F.pad(before[1:], (0, 0, 0, min(1, len(before))))


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
    mixed = before * _FIRST + tokens * _SECOND
    mixed = (mixed ^ (mixed >> 32)) & 0x7FFFFFFF
    return torch.where(positions > 0, 1 + mixed % (rows - 1), 0)
