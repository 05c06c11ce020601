"""How gradients become steps: AdamW in groups, and AdaGrad by rows for a table of which a step uses little.

Shapes: V rows of a table, C its width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xformer.model.cpu import EmbeddingTable, RowGradient

_EPS = 1e-10
"""Of AdaGrad: what is divided by is zero only where the gradient is."""


class AdamWithTables(torch.optim.AdamW):
    """AdamW; groups with `by_row` take row-wise AdaGrad (Duchi et al. 2011; Mudigere et al. 2022).

    Such a table (V, C) remembers one number a row, `square_sum`: s ← s + mean(g²), then w ← w - lr·g/√s. A
    row without a gradient stays as it is, which AdamW cannot promise: there a row goes on moving by what it
    remembers.

    Gradients may lie in `EmbeddingTable.row_gradients`, and come to the same as dense ones.

    Attributes:
        tables: whose gradients may lie there, by their weight.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        tables: dict[Tensor, EmbeddingTable] | None = None,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        """Take parameter groups.

        Args:
            groups: each with `name`, `params` and `lr`; also `weight_decay` and `by_row`, if they are not 0
                and False.
            tables: embeddings whose gradients may be left by rows, by their weight.
            betas: decay of the running means of gradients and of squared gradients.
        """
        usual = {"weight_decay": 0.0, "by_row": False}
        groups = [usual | group | {"base_lr": group["lr"]} for group in groups]
        super().__init__(groups, betas=betas, eps=1e-8, fused=True)
        self.tables = tables or {}
        self._blank: dict[Tensor, Tensor] = {}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        super().zero_grad(set_to_none)
        for table in self.tables.values():
            table.row_gradients.clear()

    def row_gradient(self, parameter: Tensor) -> RowGradient | None:
        """The gradient of the rows that were used, where that is all there is."""
        table = self.tables.get(parameter)
        return None if table is None else table.row_gradient()

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step; there is no closure. Gradients of tables are gone after it."""
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
        """The same gradient with all rows; those without one are zero in it already."""
        if weight not in self._blank:
            self._blank[weight] = torch.zeros_like(weight)
        return self._blank[weight].index_copy_(0, gradient.rows, gradient.values)

    def _step_of_rows(self, lr: float, weight: Tensor, gradient: RowGradient) -> None:
        total, rows = self._remembered(weight), gradient.rows
        seen = total[rows] + gradient.values.square().mean(dim=1, keepdim=True)
        total[rows] = seen
        weight.index_add_(0, rows, gradient.values / (seen.sqrt() + _EPS), alpha=-lr)

    def _step_of_all(self, lr: float, weight: Tensor, gradient: Tensor) -> None:
        total = self._remembered(weight)
        total += gradient.square().mean(dim=1, keepdim=True)
        weight -= lr * gradient / (total.sqrt() + _EPS)

    def _remembered(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)  # AdamW asks for it when it is loaded
            state["square_sum"] = torch.zeros_like(weight[:, :1])
        state["step"] += 1
        total: Tensor = state["square_sum"]
        return total


def set_learning_rates(optimizer: torch.optim.Optimizer, factors: Mapping[str, float]) -> None:
    """Set each group's learning rate to its own times its factor, by the group's name."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factors[group["name"]]


def clip_gradients(optimizer: AdamWithTables, limit: float) -> Tensor:
    """Scale each group's gradient down to the norm `limit`; 0 leaves them as they are.

    AdaGrad's steps do not depend on the gradient's size, so its groups are left as they are. Their norms
    count only where they are not finite: such a gradient would be remembered for ever.

    Returns:
        The largest norm of an AdamW group's gradient before: not finite if any gradient is not, or if the
        square of a table's norm is not.
    """
    norms = []
    for group in optimizer.param_groups:
        few = [gradient.values for p in group["params"] if (gradient := optimizer.row_gradient(p))]
        whole = [parameter for parameter in group["params"] if parameter.grad is not None]
        # Of a group that took no part, PyTorch's norm is a zero on the CPU, wherever the others are.
        if not few and not whole:
            continue
        norm = nn.utils.get_total_norm([*few, *(parameter.grad for parameter in whole)])
        # Of gradients that each process has a part of, the norm is still to be put together.
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
