"""The Transformer block: attention and feed-forward over packed tokens, with norms and residual sums.

Shapes: T tokens, S tokens of a memory, N positions, C d_model, H heads, D head size (C = H·D), F d_ff, K
buckets of relative positions.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.kernels import attention, glu, squared_relu
from xformer.kernels.backend import Backend
from xformer.model.config import ModelConfig
from xformer.model.context import AttentionContext
from xformer.model.cpu import feed_forward_rows, gelu, rotary_qkv
from xformer.model.norms import norm
from xformer.model.probe import Part


class LayerCache(Protocol):
    """What a block asks of the keys and values of earlier tokens (`xformer.model.cache`)."""

    def attend(self, attention: Attention, x: Tensor, context: AttentionContext) -> Tensor:
        """Outputs of the heads (T, H, D) for new tokens (T, C), which also see the earlier ones."""


class Attention(nn.Module):
    """Multi-head attention of a sequence to itself, or to a memory (cross-attention).

    Self-attention has one matrix for queries, keys and values, `Wqkv`, as ModernBERT. Cross-attention has
    `Wq` for the queries and `Wkv` for the keys and values of the memory: one product for each of its two
    inputs. The rows of `Wkv` are those of k_proj, then those of v_proj, of Hugging Face's decoders (BART,
    Marian).
    """

    def __init__(self, config: ModelConfig, *, cross: bool = False) -> None:
        super().__init__()
        self.n_heads, self.d_head, self.cross = config.n_heads, config.d_head, cross
        self.dropout = config.attention_dropout
        if cross:
            self.Wq = nn.Linear(config.d_model, config.d_model, bias=config.bias)
            self.Wkv = nn.Linear(config.d_model, 2 * config.d_model, bias=config.bias)
        else:
            self.Wqkv = nn.Linear(config.d_model, 3 * config.d_model, bias=config.bias)
        self.Wo = nn.Linear(config.d_model, config.d_model, bias=config.bias)

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        backend: Backend | None = None,
        probe: Part | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Mix tokens of the same sequence: `project(attend(*qkv(x)))`.

        Args:
            x: (T, C).
            context: layout of the batch, masks and positions.
            memory: (S, C) to attend to; None in self-attention.
            backend: of `xformer.kernels.attention`; None for the device's best.
            probe: sees queries, keys, values and the outputs of heads; None for nobody.
            cache: keys and values of earlier tokens, or of the memory; None for neither.

        Returns:
            (T, C).
        """
        if cache is not None:
            return self.project(cache.attend(self, x, context))
        q, k, v = self.qkv(x, context, memory)
        if probe is None:
            heads, _ = self.attend(q, k, v, context, backend=backend)
        else:
            heads = probe.attend(self, q, k, v, context, backend)
        return self.project(heads)

    def qkv(
        self, x: Tensor, context: AttentionContext, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (T, H, D), keys and values (S, H, D; S = T in self-attention), rotary positions applied.

        With rotary positions the D columns of queries and keys may be in another order than in a checkpoint,
        alike for both (see `rotary_qkv`).
        """
        if self.cross:
            if memory is None:
                raise ValueError("memory: expected what cross-attention attends to, got None")
            return self.queries(x), *self.keys_and_values(memory)
        if context.rotary is not None:
            return rotary_qkv(x, self.Wqkv, self.n_heads, context.batch.positions, *context.rotary)
        q, k, v = self.Wqkv(x).view(x.shape[0], 3, self.n_heads, self.d_head).unbind(1)
        return q, k, v

    def queries(self, x: Tensor) -> Tensor:
        """Queries (T, H, D) of (T, C), in cross-attention."""
        return self.Wq(x).view(x.shape[0], self.n_heads, self.d_head)

    def keys_and_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (S, H, D) of a memory (S, C), in cross-attention."""
        k, v = self.Wkv(memory).view(memory.shape[0], 2, self.n_heads, self.d_head).unbind(1)
        return k, v

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        *,
        backend: Backend | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Outputs of the heads (T, H, D), and each row's log-sum-exp of scores (T, H)."""
        dropout = self.dropout if self.training else 0.0
        return attention(
            q,
            k,
            v,
            context.batch.cu_seqlens,
            dropout=dropout,
            seed=int(torch.randint(2**62, ())) if dropout > 0 else None,
            backend=backend,
            return_lse=True,
            **context.options(),
        )

    def project(self, heads: Tensor) -> Tensor:
        """Outputs of the heads (T, H, D) to the residual stream, (T, C)."""
        return self.Wo(heads.flatten(1))


class FeedForward(nn.Module):
    """Two projections with a non-linearity between, which gated kinds multiply with a second branch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = config.activation
        self.gelu = config.gelu_approximate
        self.Wi = nn.Linear(config.d_model, config.d_ff * (2 if config.gated else 1), bias=config.bias)
        self.Wo = nn.Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x: Tensor, probe: Part | None = None) -> Tensor:
        """(T, C) to (T, C); a probe sees the activations (T, F)."""
        if probe is not None:
            return self.Wo(probe.see("act", self._activations(x)))
        parts = [self.Wo(self._activations(rows)) for rows in feed_forward_rows(x)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _activations(self, x: Tensor) -> Tensor:
        """(T, C) to (T, F)."""
        hidden = self.Wi(x)
        match self.activation:
            case "geglu":
                return glu(hidden, "gelu" if self.gelu == "none" else "gelu_tanh")
            case "swiglu":
                return glu(hidden, "silu")
            case "gelu":
                return gelu(hidden, self.gelu)
            case "relu":
                return F.relu(hidden, inplace=not torch.is_grad_enabled())
            case "relu2":
                return squared_relu(hidden)


class Block(nn.Module):
    """Attention, cross-attention where there is one, feed-forward: each added to the residual stream.

    Pre-norm: `x + f(norm(x))`; post-norm: `norm(x + f(x))`.
    """

    def __init__(self, config: ModelConfig, layer: int, *, cross: bool = False) -> None:
        super().__init__()
        self.pre_norm = config.norm_position == "pre"
        self.dropout = config.dropout
        skip = self.pre_norm and config.skip_first_norm and layer == 0
        self.attn_norm = nn.Identity() if skip else norm(config)
        self.attn = Attention(config)
        self.cross_norm = norm(config) if cross else nn.Identity()
        self.cross_attn = Attention(config, cross=True) if cross else None
        self.mlp_norm = norm(config)
        self.mlp = FeedForward(config)

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        backend: Backend | None = None,
        memory: tuple[Tensor, AttentionContext] | None = None,
        probe: Part | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """(T, C) to (T, C).

        Args:
            x: (T, C).
            context: that of self-attention.
            backend: of `xformer.kernels.attention`; None for the device's best.
            memory: (S, C) and the context of attending to it, for a block with cross-attention.
            probe: sees the residual stream, and what each part reads and adds; None for nobody.
            cache: keys and values of earlier tokens and of the memory, in place of `memory`.
        """
        if (memory is None and cache is None) != (self.cross_attn is None):
            raise ValueError("memory: expected for a block with cross-attention, and for no other")
        across = (None, context) if memory is None else memory
        if probe is not None:
            x = probe.see("resid_pre", x)
        read = self.attn_norm(x) if self.pre_norm else x
        added = self._attend("attn", read, (None, context), backend, probe, cache)
        if self.cross_attn is not None:
            read, x = self._add(added, x, (self.attn_norm, self.cross_norm), "resid_mid", probe)
            added = self._attend("cross_attn", read, across, backend, probe, cache)
            read, x = self._add(added, x, (self.cross_norm, self.mlp_norm), "resid_cross", probe)
        else:
            read, x = self._add(added, x, (self.attn_norm, self.mlp_norm), "resid_mid", probe)
        added = self._feed_forward(read, probe)
        x = x + added if self.pre_norm else self.mlp_norm(added, x)[0]
        return x if probe is None else probe.see("resid_post", x)

    def _attend(
        self,
        name: str,
        read: Tensor,
        over: tuple[Tensor | None, AttentionContext],
        backend: Backend | None,
        probe: Part | None,
        cache: LayerCache | None,
    ) -> Tensor:
        """What the attention of this name, over a memory or none, adds to the residual stream."""
        attend: Attention = getattr(self, name)
        memory, context = over
        if probe is None:
            return self._drop(attend(read, context, memory, backend, cache=cache))
        part = probe.within(name)
        out = attend(part.see("in", read), context, memory, backend, part)
        return self._drop(part.see("out", out))

    def _feed_forward(self, read: Tensor, probe: Part | None) -> Tensor:
        if probe is None:
            return self._drop(self.mlp(read))
        part = probe.within("mlp")
        return self._drop(part.see("out", self.mlp(part.see("in", read), part)))

    def _add(
        self, added: Tensor, x: Tensor, norms: tuple[nn.Module, nn.Module], name: str, probe: Part | None
    ) -> tuple[Tensor, Tensor]:
        """What the next part reads, and the residual stream with what the last part added.

        Args:
            added: (T, C).
            x: (T, C), the stream.
            norms: that of the part which added, and that of the next one.
            name: of the stream's new state.
            probe: sees it.
        """
        its_norm, next_norm = norms
        if self.pre_norm:
            read, x = next_norm(added, x)  # the norm of x + added, and x + added
        else:
            x, _ = its_norm(added, x)
            read = x
        if probe is None or (seen := probe.see(name, x)) is x:
            return read, x
        return (next_norm(seen) if self.pre_norm else seen), seen

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x
