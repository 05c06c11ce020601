"""Attention of a few queries a row over padded keys: what a decoder that generates asks for at each step.

A step has one query for each row and the keys of all earlier steps, which lie in one block of memory. To pack
them would copy what is there already. So the masks and the biases come as one tensor, which all layers of a
step share.

Shapes: B rows, H heads, M queries and N keys of a row, D head size.

    s[b, h, i, j] = scale * q[b, h, i] . k[b, h, j] + bias[b, h, i, j]        (bias -inf where hidden)
    out[b, h, i]  = sum_j softmax_j(s[b, h, i]) * v[b, h, j]                     (0 where all are hidden)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def attention_step(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, *, scale: float | None = None
) -> Tensor:
    """Attention of each row's queries over its keys, without a gradient.

    It means what `attention` means for the packed rows, with its masks and biases in `bias`.

    Args:
        q: (B, H, M, D), any strides.
        k: (B, H, N, D), any strides.
        v: (B, H, N, D).
        bias: added to the scores, broadcastable to (B, H, M, N), of q's dtype; -inf hides a key. None for
            nothing.
        scale: factor of q·k; None for 1/√D.

    Returns:
        (B, H, M, D).

    Raises:
        ValueError: shapes do not fit.
    """
    rows, heads, _, size = q.shape
    if k.shape != v.shape or k.shape[:2] != (rows, heads) or k.shape[3] != size:
        expected = f"two tensors ({rows}, {heads}, N, {size})"
        raise ValueError(f"k, v: expected {expected}, got {tuple(k.shape)} and {tuple(v.shape)}")
    if k.shape[2] == 0:
        return torch.zeros_like(q)
    score = torch.matmul(q * (1.0 / math.sqrt(size) if scale is None else scale), k.transpose(2, 3))
    if bias is None:
        return torch.matmul(torch.softmax(score, -1), v)
    score += bias
    # Read on a CPU alone: elsewhere the host would wait.
    if score.device.type == "cpu" and not bool(bias.amax(-1).isneginf().any()):
        return torch.matmul(torch.softmax(score, -1), v)
    # A row of infinities has no softmax. Its largest score becomes zero, and so do all its weights.
    peak = score.amax(-1, keepdim=True)
    weight = torch.exp(score - peak.masked_fill(peak.isneginf(), 0.0))
    total = weight.sum(-1, keepdim=True)
    return torch.matmul(weight, v) / total.masked_fill(total == 0, 1.0)
