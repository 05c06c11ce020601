"""The optimizer: AdamW in groups, and row-wise AdaGrad for large tables of which a step uses few rows.

Shapes: V rows of a table, C its width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xformer.model.cpu import EmbeddingTable, RowGradient

_EPS = 1e-10
"""Added to AdaGrad's divisor, which is zero only where the gradient is zero."""


class AdamWithTables(torch.optim.AdamW):
    """AdamW; groups with `by_row` take row-wise AdaGrad (Duchi et al. 2011; Mudigere et al. 2022).

    The state of such a table (V, C) is one number for each row, `square_sum`: s ← s + mean(g²), then
    w ← w - lr·g/√s. A row without a gradient does not change. With AdamW it would change by its moments.

    Gradients may be in `EmbeddingTable.row_gradients`; the result is that of dense ones.

    Attributes:
        tables: the tables whose gradients may be there, by their weight.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        tables: dict[Tensor, EmbeddingTable] | None = None,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        """Make the optimizer of parameter groups.

        Args:
            groups: each with `name`, `params` and `lr`; also `weight_decay` and `by_row`, if they are not 0
                and False.
            tables: embedding tables that may have gradients by rows, by their weight.
            betas: decay of the running means of gradients and of squared gradients.
        """
        usual = {"weight_decay": 0.0, "by_row": False}
        groups = [usual | group | {"base_lr": group["lr"]} for group in groups]
        super().__init__(groups, betas=betas, eps=1e-8, fused=True)
        self.tables = tables or {}
        self._blank: dict[Tensor, Tensor] = {}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Remove all gradients."""
        super().zero_grad(set_to_none)
        for table in self.tables.values():
            table.row_gradients.clear()

    def row_gradient(self, parameter: Tensor) -> RowGradient | None:
        """The gradient of the rows that were used; None if the parameter has a dense gradient or none."""
        table = self.tables.get(parameter)
        return None if table is None else table.row_gradient()

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the parameters; there is no closure. Gradients of tables are removed."""
        mine = {parameter: group for group in self.param_groups for parameter in group["params"]}
        spread = []
        for weight, table in self.tables.items():
            by_row, lr, few = mine[weight]["by_row"], mine[weight]["lr"], table.row_gradient()
            if few is not None and by_row:
                self._step_of_rows(lr, weight, few)
            elif few is not None:
                weight.grad = self._spread(weight, few)
                spread.append((weight, few))
            elif weight.grad is not None and by_row:
                self._step_of_all(lr, weight, weight.grad)
                weight.grad = None
        super().step(closure)
        for weight, few in spread:
            self._blank[weight].index_fill_(0, few.rows, 0.0)
            weight.grad = None

    def _spread(self, weight: Tensor, gradient: RowGradient) -> Tensor:
        """The gradient with all rows, in a tensor whose other rows are zero already."""
        if weight not in self._blank:
            self._blank[weight] = torch.zeros_like(weight)
        return self._blank[weight].index_copy_(0, gradient.rows, gradient.values)

    def _step_of_rows(self, lr: float, weight: Tensor, gradient: RowGradient) -> None:
        total, rows = self._square_sum(weight), gradient.rows
        seen = total[rows] + gradient.values.square().mean(dim=1, keepdim=True)
        total[rows] = seen
        weight.index_add_(0, rows, gradient.values / (seen.sqrt() + _EPS), alpha=-lr)

    def _step_of_all(self, lr: float, weight: Tensor, gradient: Tensor) -> None:
        total = self._square_sum(weight)
        total += gradient.square().mean(dim=1, keepdim=True)
        weight -= lr * gradient / (total.sqrt() + _EPS)

    def _square_sum(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)  # AdamW requires it when the state is loaded
            state["square_sum"] = torch.zeros_like(weight[:, :1])
        state["step"] += 1
        total: Tensor = state["square_sum"]
        return total


def set_learning_rates(optimizer: torch.optim.Optimizer, factors: Mapping[str, float]) -> None:
    """Set each group's learning rate to its base rate times its factor, by the group's name."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factors[group["name"]]


def clip_gradients(optimizer: AdamWithTables, limit: float) -> Tensor:
    """Scale each group's gradient down to the norm `limit`; 0 leaves them as they are.

    AdaGrad's steps do not depend on the gradient's size, so its groups are not clipped. Their norms count
    only if they are not finite, since such a gradient would stay in the state.

    Returns:
        The largest gradient norm of an AdamW group before clipping. It is not finite if any gradient is not
        finite, or if the square of a table's norm is not.
    """
    norms = []
    for group in optimizer.param_groups:
        few = [gradient.values for p in group["params"] if (gradient := optimizer.row_gradient(p))]
        whole = [parameter for parameter in group["params"] if parameter.grad is not None]
        # For a group without gradients, PyTorch's norm is a zero on the CPU, even if the others are on a GPU.
        if not few and not whole:
            continue
        norm = nn.utils.get_total_norm([*few, *(parameter.grad for parameter in whole)])
        # The norm of sharded gradients is a DTensor, which is summed over processes here.
        total = getattr(norm, "full_tensor", norm.clone)()
        if group["by_row"]:
            norms.append(0.0 * total.square())  # zero, or NaN
            continue
        norms.append(total)
        if limit:
            nn.utils.clip_grads_with_norm_(whole, limit, norm)
            for values in few:
                values.mul_((limit / (norm + 1e-6)).clamp(max=1.0))
    return torch.stack(norms).max()
