"""Bigram embeddings: each pair of neighbouring tokens has an embedding, which is added to both tokens.

A bag of subwords gives "not found" and "found not" the same vector. Attention learns the difference slowly; a
table with a row for each pair of neighbours learns it from few examples of a pair. A masked token gets the
pairs of its neighbours with the mask token: what often follows the first and precedes the second. There are
too many pairs for a row each, so a hash decides which pairs share a row (Joulin et al. 2017, "Bag of Tricks
for Efficient Text Classification"; Weinberger et al. 2009).

Shapes: T tokens, R rows, C d_model.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.model.cpu import EmbeddingTable
from xformer.model.packed import PackedTensors

FIRST_FACTOR, SECOND_FACTOR = 0x2545F4914F6CDD1D, 0x1B873593CC9E2D51
"""Factors of the hash: odd, so that multiplication modulo 2⁶⁴ is invertible, and with irregular bits."""


class BigramEmbeddings(EmbeddingTable):
    """The sum of the embeddings of a token's pairs with both of its neighbours.

    The table starts at zero, so it does not change the output of a new model. Row 0 is blank: it stands for a
    missing neighbour.
    """

    def __init__(self, rows: int, d_model: int) -> None:
        super().__init__(rows, d_model, blank=0)

    def forward(self, batch: PackedTensors) -> Tensor:  # type: ignore[override]
        """(T, C)."""
        before = super().forward(bigram_rows(batch.tokens, batch.positions, len(self.weight)))
        # A token's pair with the next token is the next token's pair with it; zero at the end of a text.
        return before + F.pad(before, (0, 0, 0, 1))[1:]


def bigram_rows(tokens: Tensor, positions: Tensor, rows: int) -> Tensor:
    """The row of each token's pair with the token before it: 0 for the first of a text, else 1 to R-1.

    Args:
        tokens: (T,) int64.
        positions: (T,) int64, 0 where a text begins.
        rows: R, at least 2.

    Returns:
        (T,) int64: for x before y, h = a·x + b·y modulo 2⁶⁴ and row 1 + (h ⊕ h·2⁻³²) modulo 2³¹ modulo R-1.
    """
    before = torch.roll(tokens, 1)  # wrong at the first token of a text, where it is not used
    mixed = before * FIRST_FACTOR + tokens * SECOND_FACTOR
    mixed = (mixed ^ (mixed >> 32)) & 0x7FFFFFFF
    return torch.where(positions > 0, 1 + mixed % (rows - 1), 0)
