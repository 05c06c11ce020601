"""Norms over the width, computed in one pass with the residual sum before them.

Shapes: T tokens, C d_model.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from xformer.kernels import layer_norm, rms_norm
from xformer.model.config import ModelConfig


class LayerNorm(nn.LayerNorm):
    """LayerNorm, computed in one pass with the residual sum before it."""

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Any:
        """(T, C) to (T, C); with a residual (T, C), the norm of the sum, and the sum."""
        return layer_norm(x, self.weight, self.bias, eps=self.eps, residual=residual)


class RMSNorm(nn.RMSNorm):
    """RMSNorm, computed in one pass with the residual sum before it."""

    eps: float

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Any:
        """(T, C) to (T, C); with a residual (T, C), the norm of the sum, and the sum."""
        return rms_norm(x, self.weight, eps=self.eps, residual=residual)


def norm(config: ModelConfig) -> nn.Module:
    """The configured norm over C; RMSNorm has no bias."""
    if config.norm == "rmsnorm":
        return RMSNorm(config.d_model, eps=config.norm_eps)
    return LayerNorm(config.d_model, eps=config.norm_eps, bias=config.bias)
