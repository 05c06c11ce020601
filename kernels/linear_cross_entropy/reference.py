"""The definition of linear cross-entropy: plain PyTorch, all logits at once, differentiable any number of
times.

Shapes: K rows, C width, V vocabulary.

    z[k, v]  = rows[k] . weight[v] + bias[v]
    lse[k]   = log sum_v exp z[k, v]
    loss[k]  = lse[k] - (1 - e) z[k, target[k]] - e mean_v z[k, v] + c lse[k]^2        (0 where ignored)

with e the label smoothing (Szegedy et al. 2016) and c the factor of the z-loss (Chowdhery et al. 2022, 5).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .options import LossOptions


def reference_items(
    rows: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, options: LossOptions
) -> Tensor:
    """The definition. Arguments as in `linear_cross_entropy`, already checked and selected.

    Returns:
        Losses (K,) in fp32, or fp64 for fp64 inputs.
    """
    logits = F.linear(rows, weight, bias).to(torch.promote_types(rows.dtype, torch.float32))
    kept = targets != options.ignore_index
    # No branch on a count, which would wait for the device: an ignored row reads column 0, and is not used.
    chosen = logits.gather(1, torch.where(kept, targets, 0)[:, None]).squeeze(1)
    lse = logits.logsumexp(1)
    loss = lse - (1.0 - options.label_smoothing) * chosen
    if options.label_smoothing:
        loss = loss - options.label_smoothing * logits.mean(1)
    if options.z_loss:
        loss = loss + options.z_loss * lse.square()
    return torch.where(kept, loss, 0.0)
