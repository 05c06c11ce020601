"""Tables that rows are looked up in, and gradients of the few rows that were.

Of a vocabulary's embedding a step uses some thousand rows. PyTorch's gradient has all of them: on a CPU, to
fill 32 MiB with zeros, twice, and to add them up takes as long as a block of a small model.

Shapes: V rows of a table, C its width, U rows that were used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


@dataclass(frozen=True)
class RowGradient:
    """The gradient of a table of which few rows were used.

    Attributes:
        rows: (U,) int64, ascending.
        values: (U, C).
    """

    rows: Tensor
    values: Tensor


class Table(nn.Module):
    """An embedding, whose gradient may be left as that of the rows that were used.

    Attributes:
        weight: (V, C), zero at first.
        blank: number of a row that stays zero, and has no gradient; None if there is none.
        sparse: leave the gradients of lookups in `row_gradients` instead of `weight.grad`, for an optimizer
            that knows what to do with them. The host must know how many rows were used.
        row_gradients: one for each lookup that went backward since they were last cleared.
    """

    def __init__(self, rows: int, width: int, blank: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, width))
        self.blank = blank
        self.sparse = False
        self.row_gradients: list[RowGradient] = []

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (T,) int64, by number, to (T, C)."""
        if self.sparse and torch.is_grad_enabled():
            found: Tensor = _Rows.apply(self.weight, rows, self.blank, self.row_gradients)
            return found
        return F.embedding(rows, self.weight, padding_idx=self.blank)

    def row_gradient(self) -> RowGradient | None:
        """The gradients of all lookups, added up; None where there were none, or `weight.grad` has it all."""
        if self.row_gradients and self.weight.grad is not None:
            for one in self.row_gradients:
                self.weight.grad.index_add_(0, one.rows, one.values)
            self.row_gradients.clear()
        if len(self.row_gradients) > 1:
            every = torch.cat([one.rows for one in self.row_gradients])
            values = torch.cat([one.values for one in self.row_gradients])
            self.row_gradients[:] = [_added_up(every, values)]
        return self.row_gradients[0] if self.row_gradients else None


class _Rows(torch.autograd.Function):
    """Rows of a table, by number; what they get on the way back is added up for each."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, blank: int | None, found: list[RowGradient]) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.blank, ctx.found = blank, found
        return table.index_select(0, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None, None]:
        (rows,) = ctx.saved_tensors
        total = _added_up(rows, grad)
        if ctx.blank is not None:
            real = total.rows != ctx.blank
            total = RowGradient(total.rows[real], total.values[real])
        ctx.found.append(total)
        return None, None, None, None


def _added_up(rows: Tensor, values: Tensor) -> RowGradient:
    used, place = torch.unique(rows, return_inverse=True)
    return RowGradient(used, values.new_zeros(len(used), values.shape[1]).index_add_(0, place, values))
