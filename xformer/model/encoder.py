"""The encoder: packed tokens to one vector a token.

Shapes: T tokens, B sequences, N longest sequence, C d_model, V vocabulary, L layers, H heads, D head size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.kernels import embedding_norm
from xformer.kernels.backend import Backend
from xformer.model.bigrams import BigramEmbeddings
from xformer.model.config import ModelConfig
from xformer.model.context import AttentionContext, self_attention_contexts
from xformer.model.cpu import EmbeddingTable
from xformer.model.init import draw_weights, scale_residual_outputs
from xformer.model.layers import Block
from xformer.model.norms import LayerNorm, norm
from xformer.model.packed import Packed
from xformer.model.positions import LearnedPositions, T5Bias, sinusoidal
from xformer.model.probe import Part, Probe


class Embeddings(nn.Module):
    """The embedding layer: token + position + segment, normalised, + bigram, with dropout."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.tok_embeddings = EmbeddingTable(config.rows, config.d_model)
        if config.positions == "learned":
            self.position_embeddings = LearnedPositions(
                config.max_length, config.d_model, config.position_offset
            )
        if config.n_segments:
            self.segment_embeddings = nn.Embedding(config.n_segments, config.d_model)
        self.norm = norm(config) if config.embedding_norm else nn.Identity()
        # Added after the norm, so that the length of a bigram's embedding counts.
        self.bigram_embeddings = (
            BigramEmbeddings(config.bigram_rows, config.d_model) if config.bigrams else None
        )

    def forward(self, batch: Packed) -> Tensor:
        """(T, C)."""
        tokens_alone = self.config.positions not in ("learned", "sinusoidal") and not self.config.n_segments
        table, norm = self.tok_embeddings, self.norm
        if tokens_alone and isinstance(norm, LayerNorm) and not table.sparse:
            x = embedding_norm(batch.tokens, table.weight, norm.weight, norm.bias, eps=norm.eps)
        else:
            x = norm(self._sum(batch))
        if self.bigram_embeddings is not None:
            x = x + self.bigram_embeddings(batch)
        return F.dropout(x, self.config.dropout, self.training) if self.config.dropout else x

    @property
    def tables(self) -> list[EmbeddingTable]:
        """The embedding tables of tokens and, where there are any, of bigrams."""
        return [self.tok_embeddings] + ([self.bigram_embeddings] if self.bigram_embeddings else [])

    def _sum(self, batch: Packed) -> Tensor:
        x = self.tok_embeddings(batch.tokens)
        if self.config.positions == "learned":
            if batch.max_length > self.config.max_length:
                limit = f"at most model.max_length={self.config.max_length} tokens with learned positions"
                raise ValueError(f"batch: expected sequences of {limit}, got {batch.max_length}")
            x = x + self.position_embeddings(batch.positions)
        if self.config.positions == "sinusoidal":
            table = sinusoidal(batch.max_length, self.config.d_model, device=x.device)
            x = x + table.to(x.dtype)[batch.positions]
        if self.config.n_segments:
            x = x + self.segment_embeddings.weight[0]
        return x


class Encoder(nn.Module):
    """A bidirectional Transformer over packed sequences, its parameters named as in ModernBERT's checkpoints.

    Attributes:
        config: the settings it was built from.
        embeddings: the embedding layer.
        layers: the blocks.
        final_norm: applied to the last state; the identity where the config has none.
        probe: sees activations, and may change them; None for nobody. See `probe.with_probe`.
    """

    probe: Probe | None = None

    def __init__(self, config: ModelConfig) -> None:
        """Build and initialise: normal weights, zero biases, residual outputs zero or scaled by depth."""
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.final_norm = norm(config) if config.final_norm else nn.Identity()
        if config.positions == "t5":
            self.relative_bias = T5Bias(config.t5_buckets, config.n_heads)
        draw_weights(self, config.init_std)
        scale_residual_outputs(self.layers, zero=config.zero_init_residual)

    @property
    def token_embedding(self) -> Tensor:
        """(V, C): the embedding matrix, which a tied masked-LM decoder multiplies with."""
        return self.embeddings.tok_embeddings.weight

    def forward(
        self,
        batch: Packed,
        *,
        n_layers: int | None = None,
        backend: Backend | None = None,
        final_norm: bool = True,
    ) -> Tensor:
        """Encode.

        Args:
            batch: B packed sequences.
            n_layers: number of blocks to run; None for all. With `zero_init_residual`, a block that was never
                trained is the identity, so that a model may grow in depth while it trains.
            backend: of `xformer.kernels.attention`; None for the device's best.
            final_norm: whether to normalise the output. The norm removes a token's length in the residual
                stream, which pooling uses; `encoder.final_norm(x)` applies it later.

        Returns:
            (T, C).
        """
        n_layers = self._depth(n_layers)
        x = self.embed(batch)
        contexts = self._contexts(batch, x.dtype) if n_layers else {}
        for layer in range(n_layers):
            x = self._block(layer, x, contexts, backend)
        if not final_norm:
            return x
        x = self.final_norm(x)
        return x if self.probe is None else self.probe.see("final", x)

    def embed(self, batch: Packed) -> Tensor:
        """The residual stream before the first block, (T, C)."""
        x = self.embeddings(batch)
        return x if self.probe is None else self.probe.see("embeddings", x)

    def hidden_states(
        self, batch: Packed, *, n_layers: int | None = None, backend: Backend | None = None
    ) -> list[Tensor]:
        """The residual stream before the first block and after each, no final norm.

        Returns:
            At most L+1 tensors (T, C).
        """
        n_layers = self._depth(n_layers)
        states = [self.embed(batch)]
        contexts = self._contexts(batch, states[0].dtype)
        for layer in range(n_layers):
            states.append(self._block(layer, states[-1], contexts, backend))
        return states

    def _block(
        self, layer: int, x: Tensor, contexts: dict[bool, AttentionContext], backend: Backend | None
    ) -> Tensor:
        probe = None if self.probe is None else Part(self.probe, f"layers.{layer}")
        out: Tensor = self.layers[layer](x, contexts[self.config.is_global(layer)], backend, probe=probe)
        return out

    def _depth(self, n_layers: int | None) -> int:
        if n_layers is None:
            return self.config.n_layers
        if not 0 <= n_layers <= self.config.n_layers:
            raise ValueError(f"n_layers: expected 0 to {self.config.n_layers}, got {n_layers}")
        return n_layers

    def _contexts(self, batch: Packed, dtype: torch.dtype) -> dict[bool, AttentionContext]:
        table = self.relative_bias.weight if self.config.positions == "t5" else None
        return self_attention_contexts(self.config, batch, dtype, table)
