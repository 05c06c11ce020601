"""Attention rollout: how far a token's attention reaches through all layers, if attention were all there is.

Shapes: L layers, H heads, n tokens of one text.

    Â_l = (1 - r) mean_h A_l[h] + r I            r: the residual's share, 1/2
    R_0 = I,  R_l = Â_l R_{l-1}

Abnar and Zuidema (2020), "Quantifying Attention Flow in Transformers". R_l[i, j] says how much of token j's
input would be in the state of token i after l layers if each head passed on its tokens as they are, and if
the residual stream took half of each sum.

What it is not: a measure of causal importance. Values, output projections, norms and feed-forward layers are
left out, heads are averaged, and weights need not say what a prediction rests on (Jain and Wallace 2019,
"Attention is not Explanation"). Effects are measured by interventions (`xformer.inspect`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LABEL = "attention rollout: mixing by attention weights alone, no measure of causal importance"
"""What a figure of rollout is to say."""


def mixing(weights: Tensor, residual: float = 0.5) -> Tensor:
    """Â: the mean of the heads, and the residual stream's share of each token's own state.

    Args:
        weights: (H, n, n), rows sum to 1.
        residual: r, from 0 to 1.

    Returns:
        (n, n), rows sum to 1.

    Raises:
        ValueError: the weights are not (H, n, n), or r is out of its range.
    """
    if weights.dim() != 3 or weights.shape[1] != weights.shape[2]:
        raise ValueError(f"mixing: expected weights (H, n, n), got {tuple(weights.shape)}")
    if not 0 <= residual <= 1:
        raise ValueError(f"residual: expected a share from 0 to 1, got {residual}")
    mean = weights.mean(dim=0)
    own = torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
    return (1 - residual) * mean + residual * own


def rollout(layers: Sequence[Tensor], residual: float = 0.5) -> Tensor:
    """R of each layer: (L, n, n), rows sum to 1.

    Args:
        layers: the weights of each layer (H, n, n), from the first on.
        residual: r; 0 leaves the residual stream out.

    Raises:
        ValueError: there is no layer, or as `mixing`.
    """
    if not len(layers):
        raise ValueError("rollout: expected a layer or more, got none")
    found: list[Tensor] = []
    for weights in layers:
        mixed = mixing(weights, residual)
        found.append(mixed @ found[-1] if found else mixed)
    return torch.stack(found)
