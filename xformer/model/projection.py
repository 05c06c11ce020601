"""Layers behind the pooling of a sentence's vector, as models of sentence-transformers have them.

Shapes: B sequences, D and E widths before and after.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

ProjectionActivation = Literal["identity", "tanh", "relu", "gelu", "sigmoid"]


class Projection(nn.Linear):
    """A dense layer with an activation (the module Dense of sentence-transformers)."""

    def __init__(self, before: int, after: int, bias: bool, activation: ProjectionActivation) -> None:
        if activation not in get_args(ProjectionActivation):
            raise ValueError(f"activation: expected one of {', '.join(get_args(ProjectionActivation))}")
        super().__init__(before, after, bias=bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) to (B, E), in the precision of the weights."""
        with torch.autocast(x.device.type, enabled=False):
            y = super().forward(x.to(self.weight.dtype))
        match self.activation:
            case "tanh":
                return torch.tanh(y)
            case "relu":
                return torch.relu(y)
            case "gelu":
                return nn.functional.gelu(y)
            case "sigmoid":
                return torch.sigmoid(y)
            case _:
                return y
