"""All-gather of rows, with a gradient.

Shapes: p rows of this process, W processes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def gather_rows(rows: Tensor, sizes: tuple[int, ...], group: dist.ProcessGroup | None) -> Tensor:
    """The rows of all processes, in order of process. The gradients of a row add up in its own process.

    Args:
        rows: (p, …) of this process.
        sizes: p of each process; with one size, the rows are returned as they are.
        group: the process group; None for all processes.

    Returns:
        (Σp, …).
    """
    if len(sizes) == 1:
        return rows
    # Collectives need equal shapes.
    missing = max(sizes) - len(rows)
    padded = torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])]) if missing else rows
    gathered: Tensor = _Gather.apply(padded, group, len(sizes))
    return torch.cat([part[:size] for part, size in zip(gathered, sizes, strict=True)])


class _Gather(torch.autograd.Function):
    """(n, …) of each process to (W, n, …); the gradient is the sum of the gradients in all processes."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: dist.ProcessGroup | None, world: int) -> Tensor:
        ctx.group = group
        gathered = rows.new_empty(world, *rows.shape)
        dist.all_gather(list(gathered), rows.contiguous(), group=group)
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        own = grad.new_empty(grad.shape[1:])
        dist.reduce_scatter(own, list(grad.contiguous()), group=ctx.group)
        return own, None, None
