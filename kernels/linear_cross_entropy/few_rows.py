"""The loss of few rows on a CPU, by PyTorch's own linear layer and loss.

The time that the `torch` backend saves grows with the rows; its cost, some 100 us of calls from Python, does
not.

Shapes: K rows, C width, V vocabulary.
"""

from __future__ import annotations

from math import isnan
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..operation import is_eager
from .options import LossOptions

FEW_ROWS = 64
"""With so many rows the `torch` backend is as fast at V = 16,384; with more it is faster."""


def are_few(rows: Tensor, options: LossOptions) -> bool:
    """Whether PyTorch's own loss of these rows (K, C) is exact enough and faster.

    It has no z-loss, and its softmax has the dtype of the logits. A compiler has to see operators instead.
    """
    exact = rows.dtype in (torch.float32, torch.float64) and not options.z_loss
    return exact and rows.is_cpu and rows.shape[0] < FEW_ROWS and is_eager(rows)


def composed_unchecked(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    options: LossOptions,
    reduction: Literal["mean", "sum", "none"],
) -> Tensor | None:
    """The loss of a few rows before anything is checked; None where the caller has to check first.

    Checking all arguments takes a tenth of the time of one row's loss. PyTorch itself refuses most wrong
    arguments; those that it would take with another meaning are checked here. Where PyTorch refuses, or the
    mean is of no row, the result is None: the caller then checks all, and names what is wrong.
    """
    if (
        hidden.dim() != 2
        or hidden.shape[1] == 0
        or weight.dim() != 2
        or targets.dim() != 1
        or targets.dtype != torch.int64
        or (bias is not None and bias.shape != weight.shape[:1])
        or not are_few(hidden, options)
        or torch.is_autocast_enabled("cpu")
    ):
        return None
    try:
        loss = composed(hidden, weight, bias, targets, options, reduction)
    except (RuntimeError, IndexError, ValueError):
        return None
    return None if reduction == "mean" and isnan(loss.item()) else loss


def composed(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    options: LossOptions,
    reduction: Literal["mean", "sum", "none"],
) -> Tensor:
    """The losses (K,), 0 where ignored, their sum or their mean; the mean of no row is NaN."""
    return F.cross_entropy(
        F.linear(rows, weight, bias),
        targets,
        ignore_index=options.ignore_index,
        label_smoothing=options.label_smoothing,
        reduction=reduction,
    )
