"""The block: attention and feed-forward over packed tokens, each with its norm and its residual sum.

Shapes: T tokens, C d_model, H heads, D head size (C = H·D), F d_ff.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.kernels import attention, glu, layer_norm, rms_norm, rotary, squared_relu
from xformer.kernels.backend import Backend
from xformer.model.config import ModelConfig
from xformer.model.packed import Packed
from xformer.model.positions import interleave_halves


@dataclass(frozen=True)
class Relations:
    """How the tokens of a batch relate: worked out once, shared by all global or all local layers.

    Attributes:
        window: total width in tokens of local attention; None for the whole sequence.
        rotary: cosines and sines (N, D/2) of `positions.rotary_table`, or None.
        alibi_slopes: (H,), or None.
        t5_table: (K, H) bias of each relative-position bucket, or None.
        t5_max_distance: distance from which all fall into the last bucket.
    """

    window: int | None = None
    rotary: tuple[Tensor, Tensor] | None = None
    alibi_slopes: Tensor | None = None
    t5_table: Tensor | None = None
    t5_max_distance: int = 128


class Attention(nn.Module):
    """Multi-head self-attention: one projection in, one out."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_heads, self.d_head = config.n_heads, config.d_head
        self.dropout = config.attention_dropout
        self.Wqkv = nn.Linear(config.d_model, 3 * config.d_model, bias=config.bias)
        self.Wo = nn.Linear(config.d_model, config.d_model, bias=config.bias)

    def forward(
        self, x: Tensor, batch: Packed, relations: Relations, backend: Backend | None = None
    ) -> Tensor:
        """Mix tokens of the same sequence.

        Args:
            x: (T, C).
            batch: where sequences begin.
            relations: window and positions of this kind of layer.
            backend: of `xformer.kernels.attention`; None for the device's best.

        Returns:
            (T, C).
        """
        shape = (x.shape[0], 3, self.n_heads, self.d_head)
        neighbours = relations.rotary is not None and x.device.type == "cpu"
        qkv = self._pairs_as_neighbours(x) if neighbours else self.Wqkv(x)
        q, k, v = qkv.view(shape).unbind(1)
        if relations.rotary is not None:
            q, k = rotary(q, k, batch.positions, *relations.rotary, interleaved=neighbours)
        dropout = self.dropout if self.training else 0.0
        out = attention(
            q,
            k,
            v,
            batch.cu_seqlens,
            max_length_q=batch.max_length,
            max_length_k=batch.max_length,
            window=relations.window,
            alibi_slopes=relations.alibi_slopes,
            bias_table=relations.t5_table,
            bias_max_distance=relations.t5_max_distance,
            dropout=dropout,
            seed=int(torch.randint(2**62, ())) if dropout > 0 else None,
            backend=backend,
        )
        return self.Wo(out.reshape(x.shape))

    def _pairs_as_neighbours(self, x: Tensor) -> Tensor:
        weight = interleave_halves(self.Wqkv.weight, self.n_heads)
        bias = None if self.Wqkv.bias is None else interleave_halves(self.Wqkv.bias, self.n_heads)
        return F.linear(x, weight, bias)


class FeedForward(nn.Module):
    """Two projections with a non-linearity between, which the gated ones multiply with a second branch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = config.activation
        self.gelu = config.gelu_approximate
        self.Wi = nn.Linear(config.d_model, config.d_ff * (2 if config.gated else 1), bias=config.bias)
        self.Wo = nn.Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(T, C) to (T, C)."""
        hidden = self.Wi(x)
        match self.activation:
            case "geglu":
                hidden = glu(hidden, "gelu" if self.gelu == "none" else "gelu_tanh")
            case "swiglu":
                hidden = glu(hidden, "silu")
            case "gelu":
                hidden = F.gelu(hidden, approximate=self.gelu)
            case "relu2":
                hidden = squared_relu(hidden)
        return self.Wo(hidden)


class LayerNorm(nn.LayerNorm):
    """PyTorch's module, in one pass with the residual sum before it."""

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Any:
        """(T, C) to (T, C); with a residual (T, C), the norm of the sum, and the sum."""
        return layer_norm(x, self.weight, self.bias, eps=self.eps, residual=residual)


class RMSNorm(nn.RMSNorm):
    """PyTorch's module, in one pass with the residual sum before it."""

    eps: float

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Any:
        """(T, C) to (T, C); with a residual (T, C), the norm of the sum, and the sum."""
        return rms_norm(x, self.weight, eps=self.eps, residual=residual)


def norm(config: ModelConfig) -> nn.Module:
    """The configured norm over C; RMSNorm has no bias."""
    if config.norm == "rmsnorm":
        return RMSNorm(config.d_model, eps=config.norm_eps)
    return LayerNorm(config.d_model, eps=config.norm_eps, bias=config.bias)


class Block(nn.Module):
    """Attention then feed-forward, each added to the residual stream.

    Pre-norm: `x + f(norm(x))`; post-norm: `norm(x + f(x))`.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.pre_norm = config.norm_position == "pre"
        self.dropout = config.dropout
        skip = self.pre_norm and config.skip_first_norm and layer == 0
        self.attn_norm = nn.Identity() if skip else norm(config)
        self.attn = Attention(config)
        self.mlp_norm = norm(config)
        self.mlp = FeedForward(config)

    def forward(
        self, x: Tensor, batch: Packed, relations: Relations, backend: Backend | None = None
    ) -> Tensor:
        """(T, C) to (T, C); arguments as `Attention.forward`."""
        if self.pre_norm:
            mixed = self._drop(self.attn(self.attn_norm(x), batch, relations, backend))
            y, x = self.mlp_norm(mixed, x)  # the norm of x + mixed, and x + mixed
            return x + self._drop(self.mlp(y))
        x, _ = self.attn_norm(self._drop(self.attn(x, batch, relations, backend)), x)
        return self.mlp_norm(self._drop(self.mlp(x)), x)[0]

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x
