"""The decoder: packed tokens and a memory to one vector a token, of which none depends on later tokens.

Shapes: T tokens, S tokens of the memory, C d_model, V vocabulary, B sequences, G groups of W hypotheses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from xformer.kernels.backend import Backend
from xformer.model.cache import DecoderCache
from xformer.model.cache_step import next_step
from xformer.model.config import ModelConfig
from xformer.model.context import AttentionContext, rotary_tables, self_attention_contexts
from xformer.model.cpu import EmbeddingTable
from xformer.model.encoder import Embeddings
from xformer.model.init import draw_weights, scale_residual_outputs
from xformer.model.layers import Attention, Block
from xformer.model.norms import norm
from xformer.model.packed import Packed
from xformer.model.positions import T5Bias


class Decoder(nn.Module):
    """A causal Transformer with cross-attention, its parts named as the encoder's (Vaswani et al. 2017).

    Attributes:
        config: the settings it was built from.
        embeddings: the embedding layer.
        layers: the blocks.
        final_norm: applied to the last state; the identity where the config has none.
        blank_start: the first position of each sequence has the zero vector instead of a token's embedding.
    """

    def __init__(self, config: ModelConfig, *, own_table: bool = True, blank_start: bool = True) -> None:
        """Build and initialise as an encoder.

        Args:
            config: of the decoder.
            own_table: whether it has a table of tokens; otherwise each call is given one.
            blank_start: see the class.
        """
        super().__init__()
        self.config, self.blank_start = config, blank_start
        self.embeddings = Embeddings(config, own_table=own_table)
        self.layers = nn.ModuleList(Block(config, layer, cross=True) for layer in range(config.n_layers))
        self.final_norm = norm(config) if config.final_norm else nn.Identity()
        if config.positions == "t5":
            self.relative_bias = T5Bias(config.t5_buckets, config.n_heads)
        draw_weights(self, config.init_std)
        scale_residual_outputs(self.layers, zero=config.zero_init_residual)

    def forward(
        self,
        inputs: Packed,
        memory: Tensor,
        source: Packed,
        *,
        table: EmbeddingTable | None = None,
        backend: Backend | None = None,
    ) -> Tensor:
        """Decode whole sequences at once, as in training.

        Args:
            inputs: B packed sequences, each beginning with the start: see `shifted`.
            memory: (S, C), the encoder's output.
            source: its layout, with the sequences in the same order (`pack(sort=False)`).
            table: of the tokens, for a decoder without one of its own.
            backend: of `xformer.kernels.attention`; None for the device's best.

        Returns:
            (T, C): of each token, what the next one is predicted from.
        """
        x = self.embeddings(inputs, table, blank_first=self.blank_start)
        contexts = self_attention_contexts(self.config, inputs, x.dtype, self._bias_table, causal=True)
        across = memory, AttentionContext(inputs, source)
        for layer, block in enumerate(self.layers):
            x = block(x, contexts[self.config.is_global(layer)], backend, across)
        out: Tensor = self.final_norm(x)
        return out

    @torch.no_grad()
    def cache(self, memory: Tensor, source: Packed) -> DecoderCache:
        """An empty cache, with the memory's keys and values; one hypothesis for each source.

        Args:
            memory: (S, C).
            source: its layout.
        """
        across = [cast(Attention, block.cross_attn) for block in self.layers]
        pairs = [attention.keys_and_values(memory) for attention in across]
        return DecoderCache(self.config, pairs, source, memory)

    @torch.no_grad()
    def extend(
        self,
        tokens: Tensor,
        cache: DecoderCache,
        *,
        table: EmbeddingTable | None = None,
        counts: Sequence[int] | None = None,
    ) -> Tensor:
        """Decode the next tokens of each row, without a gradient.

        Args:
            tokens: (T,) int64, of rows in the cache's order; the first token of a row is the start.
            cache: what came before; the new tokens are added to it.
            table: of the tokens, for a decoder without one of its own.
            counts: of each group, how many new tokens each of its rows has; None for one.

        Returns:
            (T, C).

        Raises:
            ValueError: there are fewer learned positions, or another number of tokens.
        """
        first = self.blank_start and min(cache.lengths, default=0) == 0
        step = next_step(cache, tokens, counts)
        room = cache.capacity
        if self.config.positions == "learned" and cache.length <= self.config.max_length:
            room = min(room, self.config.max_length)
        waves = None
        if self.embeddings.has_position_table:
            like = (self.embeddings.tok_embeddings if table is None else table).weight
            waves = cache.table("positions", room, lambda: self.embeddings.position_table(room, like))
        x = self.embeddings(step.batch, table, blank_first=first, position_table=waves)
        rotary = cache.table("rotary", room, lambda: rotary_tables(self.config, room, x.dtype, x.device))
        contexts = self_attention_contexts(
            self.config, step.batch, x.dtype, self._bias_table, causal=True, rotary=rotary
        )
        for layer, block in enumerate(self.layers):
            x = block(x, contexts[self.config.is_global(layer)], cache=step.layer(layer))
        out: Tensor = self.final_norm(x)
        return out

    @property
    def _bias_table(self) -> Tensor | None:
        return self.relative_bias.weight if self.config.positions == "t5" else None


def shifted(targets: Packed, start: int) -> Packed:
    """What the decoder reads to predict each target: the token before it, and the start before the first.

    Args:
        targets: B packed sequences, each with its end.
        start: id of the start; it does not matter where the start is the zero vector.
    """
    before = targets.tokens.roll(1)
    return targets.with_tokens(before.masked_fill(targets.positions == 0, start))
