"""Attention weights of one text as a matrix that has a gradient: where they are changed, not looked at.

Shapes: n tokens of a text, H heads, D head size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xformer.kernels.attention.options import AttentionOptions
from xformer.kernels.attention.reference import reference_attention
from xformer.model.context import AttentionContext


def attention_weights(q: Tensor, k: Tensor, context: AttentionContext) -> Tensor:
    """The weights (H, n, n) of one text, in at least fp32, by the plain definition.

    They are what attention returns where the values are the identity matrix.

    Args:
        q: (n, H, D) of the text.
        k: (n, H, D).
        context: of the layer; masks and biases are taken from it.
    """
    n, n_heads, d_head = q.shape
    dtype = torch.promote_types(q.dtype, torch.float32)
    identity = torch.eye(n, dtype=dtype, device=q.device)[:, None].expand(-1, n_heads, -1)
    options = AttentionOptions(
        d_head**-0.5, context.causal, context.window, context.alibi_slopes, context.bias_table,
        context.bias_max_distance,
    )  # fmt: skip
    starts = torch.tensor([0, n])
    with torch.autocast(q.device.type, enabled=False):
        weights, _ = reference_attention(q.to(dtype), k.to(dtype), identity, starts, starts, options)
    return weights.transpose(0, 1)
