"""How gradients become steps: AdamW in groups, and AdaGrad by rows for a table of which a step uses little.

Shapes: R rows of such a table, C its width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xformer.bigrams import RowGradient
from xformer.model import MultilingualModel
from xformer.run_config import OptimizerConfig

_EPS = 1e-10
"""Of AdaGrad: what is divided by is zero only where the gradient is."""


class AdamWithTables(torch.optim.AdamW):
    """AdamW; groups with `by_row` take row-wise AdaGrad (Duchi et al. 2011; Mudigere et al. 2022).

    Such a table (R, C) remembers one number a row, `square_sum`: s ← s + mean(g²), then w ← w - lr·g/√s. A
    row without a gradient stays as it is, which AdamW cannot promise: there a row goes on moving by what it
    remembers. So the gradient may be of the rows that were used alone (`RowGradient`), and that comes to the
    same as a dense one.

    Attributes:
        row_gradients: of the one table with `by_row`, where they are not in its `grad`.
    """

    row_gradients: list[RowGradient]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        super().zero_grad(set_to_none)
        self.row_gradients.clear()

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step; there is no closure."""
        by_row = [
            (group["lr"], table, table.grad)
            for group in self.param_groups
            if group["by_row"]
            for table in group["params"]
            if table.grad is not None
        ]
        for _, table, _ in by_row:
            table.grad = None  # not AdamW's
        super().step(closure)
        for lr, table, gradient in by_row:
            table.grad = gradient
            total = self._remembered(table)
            total += gradient.square().mean(dim=1, keepdim=True)
            table -= lr * gradient / (total.sqrt() + _EPS)
        for group in self.param_groups:
            if group["by_row"] and self.row_gradients:
                self._step_of_rows(group["lr"], group["params"][0], _added_up(self.row_gradients))

    def _step_of_rows(self, lr: float, table: Tensor, gradient: RowGradient) -> None:
        total, rows = self._remembered(table), gradient.rows
        seen = total[rows] + gradient.values.square().mean(dim=1, keepdim=True)
        total[rows] = seen
        table.index_add_(0, rows, gradient.values / (seen.sqrt() + _EPS), alpha=-lr)

    def _remembered(self, table: Tensor) -> Tensor:
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)  # AdamW asks for it when it is loaded
            state["square_sum"] = torch.zeros_like(table[:, :1])
        state["step"] += 1
        total: Tensor = state["square_sum"]
        return total


def _added_up(gradients: list[RowGradient]) -> RowGradient:
    if len(gradients) == 1:
        return gradients[0]
    rows, place = torch.unique(torch.cat([one.rows for one in gradients]), return_inverse=True)
    values = torch.cat([one.values for one in gradients])
    return RowGradient(rows, values.new_zeros(len(rows), values.shape[1]).index_add_(0, place, values))


def make_optimizer(model: MultilingualModel, config: OptimizerConfig) -> AdamWithTables:
    """Group the parameters and build the optimizer.

    Matrices decay. The embedding does not, and learns faster: a row sees a gradient only when its subword
    occurs. Vectors (norms, biases, pooling) do not decay either. Bigrams, of which a step sees few of many,
    are left to AdaGrad.

    Args:
        model: whose parameters to train.
        config: rates and decay.
    """
    embedding, bigrams = model.encoder.token_embedding, model.encoder.embeddings.bigram_embeddings
    tables = [] if bigrams is None else [bigrams.weight]
    matrices: list[Tensor] = []
    vectors: list[Tensor] = []
    for parameter in model.parameters():
        of_its_own = any(parameter is one for one in (embedding, *tables))
        if parameter.requires_grad and not of_its_own:
            (matrices if parameter.ndim >= 2 else vectors).append(parameter)
    groups: list[dict[str, Any]] = [
        {"name": "matrices", "params": matrices, "lr": config.lr, "weight_decay": config.weight_decay},
        {"name": "embedding", "params": [embedding], "lr": config.embedding_lr, "weight_decay": 0.0},
        {"name": "vectors", "params": vectors, "lr": config.vector_lr, "weight_decay": 0.0},
        {"name": "bigrams", "params": tables, "lr": config.bigram_lr, "weight_decay": 0.0},
    ]
    for group in groups:
        group |= {"base_lr": group["lr"], "by_row": group["name"] == "bigrams"}
    optimizer = AdamWithTables(groups, betas=(config.beta1, config.beta2), eps=1e-8, fused=True)
    optimizer.row_gradients = [] if bigrams is None else bigrams.row_gradients
    return optimizer


def set_learning_rates(optimizer: torch.optim.Optimizer, factors: Mapping[str, float]) -> None:
    """Set each group's learning rate to its own times its factor, by the group's name."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factors[group["name"]]


def clip_gradients(optimizer: torch.optim.Optimizer, limit: float) -> Tensor:
    """Scale each group's gradient down to the norm `limit`; 0 leaves them as they are.

    AdaGrad's steps do not depend on the gradient's size, so its groups are left out.

    Returns:
        The largest norm of a group's gradient before: not finite if any gradient is not.
    """
    # Of a group that took no part, PyTorch's norm is a zero on the CPU, wherever the others are.
    taking_part = [
        [parameter for parameter in group["params"] if parameter.grad is not None]
        for group in optimizer.param_groups
        if not group["by_row"]
    ]
    norms = [nn.utils.clip_grad_norm_(group, limit or float("inf")) for group in taking_part if group]
    # Of gradients that each process has a part of, the norm is still to be put together.
    return torch.stack([getattr(norm, "full_tensor", norm.clone)() for norm in norms]).max()
