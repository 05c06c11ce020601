"""Few rows on a CPU: PyTorch's own linear layer and loss.

What the `torch` backend saves grows with the rows; what it costs, some 100 us of calls from Python, does not.

Shapes: K rows, C width, V vocabulary.
"""

from __future__ import annotations

from math import isnan
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..operation import is_eager
from .rule import Rule

FEW_ROWS = 64
"""From here on the `torch` backend is as fast at V = 16,384, and soon faster."""


def are_few(rows: Tensor, rule: Rule) -> bool:
    """Whether PyTorch's composition of these rows (K, C) is both exact enough and the faster one.

    It has no z-loss, its softmax has the logits' dtype, and a compiler shall see operators.
    """
    exact = rows.dtype in (torch.float32, torch.float64) and not rule.z_loss
    return exact and rows.is_cpu and rows.shape[0] < FEW_ROWS and is_eager(rows)


def composed_unchecked(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    rule: Rule,
    reduction: Literal["mean", "sum", "none"],
) -> Tensor | None:
    """The loss of a few rows, all of them, before anything is checked; None where that will not do.

    To look at all that one may be given takes as long as a tenth of one row's loss. PyTorch refuses most of
    it itself; here is looked at what it would take, and mean something else by. Where it refuses, or has a
    mean of no row, the caller looks, and says what is wrong or what is meant.
    """
    if (
        hidden.dim() != 2
        or hidden.shape[1] == 0
        or weight.dim() != 2
        or targets.dim() != 1
        or targets.dtype != torch.int64
        or (bias is not None and bias.shape != weight.shape[:1])
        or not are_few(hidden, rule)
        or torch.is_autocast_enabled("cpu")
    ):
        return None
    try:
        loss = composed(hidden, weight, bias, targets, rule, reduction)
    except (RuntimeError, IndexError, ValueError):
        return None
    return None if reduction == "mean" and isnan(loss.item()) else loss


def composed_items(rows: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, rule: Rule) -> Tensor:
    """Losses (K,), 0 where ignored; arguments as in `torch_backend.walk`."""
    return composed(rows, weight, bias, targets, rule, "none")


def composed(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    rule: Rule,
    reduction: Literal["mean", "sum", "none"],
) -> Tensor:
    """The losses, or their sum or mean, for callers who do not ask for each; a mean of none is NaN."""
    return F.cross_entropy(
        F.linear(rows, weight, bias),
        targets,
        ignore_index=rule.ignore_index,
        label_smoothing=rule.label_smoothing,
        reduction=reduction,
    )
