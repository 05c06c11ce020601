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
from xformer.model.cpu import EmbeddingTable, is_plain
from xformer.model.init import draw_weights, scale_residual_outputs, undo_draws
from xformer.model.layers import Block
from xformer.model.norms import LayerNorm, norm
from xformer.model.packed import PackedTensors
from xformer.model.positions import LearnedPositions, T5Bias, sinusoidal
from xformer.model.probe import Part, Probe


class Embeddings(nn.Module):
    """The embedding layer: token + position + segment, normalised, + bigram, with dropout.

    Attributes:
        tok_embeddings: the table of tokens; absent where each call is given that of another layer.
    """

    tok_embeddings: EmbeddingTable

    def __init__(self, config: ModelConfig, *, own_table: bool = True) -> None:
        super().__init__()
        self.config = config
        if own_table:
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

    def forward(
        self,
        batch: PackedTensors,
        table: EmbeddingTable | None = None,
        *,
        blank_first: bool = False,
        position_table: Tensor | None = None,
    ) -> Tensor:
        """(T, C).

        Args:
            batch: tokens and their positions.
            table: of the tokens, for a layer without one of its own.
            blank_first: tokens at position 0 have the zero vector instead of a row of the table.
            position_table: that of more positions than the batch is long, where its sequences begin later.
        """
        config, norm = self.config, self.norm
        table = self.tok_embeddings if table is None else table
        tokens_alone = not self.has_position_table and not config.n_segments
        tokens_alone = tokens_alone and not config.scale_embeddings and not blank_first
        tokens_alone = tokens_alone and is_plain(table, EmbeddingTable) and not table.sparse
        if tokens_alone and isinstance(norm, LayerNorm) and is_plain(norm, LayerNorm):
            x = embedding_norm(batch.tokens, table.weight, norm.weight, norm.bias, eps=norm.eps)
        else:
            x = norm(self._sum(batch, table, blank_first, position_table))
        if self.bigram_embeddings is not None:
            x = x + self.bigram_embeddings(batch)
        return F.dropout(x, config.dropout, self.training) if config.dropout else x

    @property
    def tables(self) -> list[EmbeddingTable]:
        """The embedding tables that it has: of tokens, and of bigrams."""
        return [part for part in self.children() if isinstance(part, EmbeddingTable)]

    @property
    def has_position_table(self) -> bool:
        """Whether each position adds a vector."""
        return self.config.positions in ("learned", "sinusoidal")

    def position_table(self, length: int, like: Tensor) -> Tensor:
        """What each position adds: (length, C), or all rows where they are learned.

        Args:
            length: positions that are needed.
            like: has the dtype and the device of the token embeddings.

        Raises:
            ValueError: there are fewer learned positions.
        """
        if self.config.positions == "sinusoidal":
            return sinusoidal(length, self.config.d_model, device=like.device).to(like.dtype)
        if length > self.config.max_length:
            limit = f"at most model.max_length={self.config.max_length} tokens with learned positions"
            raise ValueError(f"batch: expected sequences of {limit}, got {length}")
        # All of them, because a batch may have positions beyond its lengths (`Packed.with_positions`).
        return self.position_embeddings.rows()

    def _sum(
        self, batch: PackedTensors, table: EmbeddingTable, blank_first: bool, position_table: Tensor | None
    ) -> Tensor:
        x: Tensor = table(batch.tokens)
        if self.config.scale_embeddings:
            x = x * self.config.d_model**0.5
        if blank_first:
            x = x * (batch.positions > 0)[:, None].to(x.dtype)
        if self.has_position_table:
            if position_table is None:
                position_table = self.position_table(batch.max_length, x)
            x = x + F.embedding(batch.positions, position_table)
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
        self._draw()

    def reset_parameters(self) -> None:
        """Initialise again, with the weights that a new encoder would have under the present seed.

        For an encoder that was built on the device `meta`, after `to_empty`.
        """
        undo_draws(self)
        self._draw()

    def _draw(self) -> None:
        draw_weights(self, self.config.init_std)
        scale_residual_outputs(self.layers, zero=self.config.zero_init_residual)

    @property
    def token_embedding(self) -> Tensor:
        """(V, C): the embedding matrix, which a tied masked-LM decoder multiplies with."""
        return self.embeddings.tok_embeddings.weight

    def forward(
        self,
        batch: PackedTensors,
        *,
        n_layers: int | None = None,
        backend: Backend | None = None,
        final_norm: bool = True,
    ) -> Tensor:
        """Encode.

        Args:
            batch: B packed sequences, a `Packed` batch unless for `torch.export`.
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

    def embed(self, batch: PackedTensors) -> Tensor:
        """The residual stream before the first block, (T, C)."""
        x = self.embeddings(batch)
        return x if self.probe is None else self.probe.see("embeddings", x)

    def hidden_states(
        self, batch: PackedTensors, *, n_layers: int | None = None, backend: Backend | None = None
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

    def _contexts(self, batch: PackedTensors, dtype: torch.dtype) -> dict[bool, AttentionContext]:
        table = self.relative_bias.weight if self.config.positions == "t5" else None
        return self_attention_contexts(self.config, batch, dtype, table)
