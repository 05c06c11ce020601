"""Bigrams: two neighbouring tokens have an embedding of their own, which both of them get.

A bag of subwords cannot tell "not found" from "found not". Attention can learn to, slowly; a table that has a
row for each pair of neighbours knows it after it has seen the pair. A hidden token gets the pairs of its
neighbours and the mask: what is counted after the one, and before the other. There are too many pairs for a
row each, so a hash tells which they share (Joulin et al. 2017, "Bag of Tricks for Efficient Text
Classification"; Weinberger et al. 2009).

Shapes: T tokens, R rows, C d_model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from xformer.packed import Packed

_FIRST, _SECOND = 0x2545F4914F6CDD1D, 0x1B873593CC9E2D51
"""Odd, so that multiplying by them loses nothing modulo 2⁶⁴; without any pattern in their bits."""


class BigramEmbeddings(nn.Module):
    """What each token gets for standing between its neighbours.

    The table starts at zero: a new model is as it would be without.

    Attributes:
        weight: (R, C). Row 0 is that of no neighbour: it is zero, and has no gradient.
        sparse: leave the gradient in `row_gradients` instead of `weight.grad`: all that an optimizer needs
            which leaves other rows alone, and much smaller. The host must know how many rows were used.
        row_gradients: one for each pass that went backward since they were last cleared.
    """

    def __init__(self, rows: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, d_model))
        self.sparse = False
        self.row_gradients: list[RowGradient] = []

    def forward(self, batch: Packed) -> Tensor:
        """(T, C)."""
        rows = bigram_rows(batch.tokens, batch.positions, len(self.weight))
        if self.sparse and torch.is_grad_enabled():
            before: Tensor = _Rows.apply(self.weight, rows, self.row_gradients)
        else:
            before = F.embedding(rows, self.weight, padding_idx=0)
        # A token's pair with the next one is the next one's with it: zero where a text begins.
        return before + F.pad(before[1:], (0, 0, 0, min(1, len(before))))


@dataclass(frozen=True)
class RowGradient:
    """The gradient of a table of which few rows were used.

    Attributes:
        rows: (U,) int64, ascending.
        values: (U, C).
    """

    rows: Tensor
    values: Tensor


class _Rows(torch.autograd.Function):
    """Rows of a table, by number; what they get on the way back is added up for each, and row 0 left out."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, found: list[RowGradient]) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.found = found
        return table.index_select(0, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None]:
        (rows,) = ctx.saved_tensors
        used, place = torch.unique(rows, return_inverse=True)
        values = grad.new_zeros(len(used), grad.shape[1]).index_add_(0, place, grad)
        first = int(used.numel() > 0 and used[0] == 0)
        ctx.found.append(RowGradient(used[first:], values[first:]))
        return None, None, None


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
