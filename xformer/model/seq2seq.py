"""The sequence-to-sequence model: an encoder, a decoder and an output layer over the vocabulary.

Shapes: T target tokens, S source tokens, C d_model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.kernels import linear_cross_entropy
from xformer.kernels.backend import Backend
from xformer.model.config import ModelConfig
from xformer.model.cpu import EmbeddingTable, rows_to_add
from xformer.model.decoder import Decoder, shifted
from xformer.model.encoder import Encoder
from xformer.model.int8_linear import Int8Linear
from xformer.model.packed import Packed
from xformer.model.seq2seq_config import Seq2SeqConfig

_IGNORED = -100
"""Target of a row that has no loss."""


class OutputLayer(nn.Module):
    """Logits over the vocabulary. A matrix that it is tied to is an argument of each call.

    Attributes:
        weight: (V, C), only if not tied.
        bias: (V,), only if the config has one.
        quantised: computes the logits in 8 bits, where `int8.quantise_translator` has put it; otherwise None.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        self.quantised: Int8Linear | None = None
        if not config.tie_embeddings:
            self.weight = nn.Parameter(torch.empty(config.rows, config.d_model))
            nn.init.normal_(self.weight, std=config.init_std)
        if config.decoder_bias:
            self.bias = nn.Parameter(torch.zeros(config.rows))

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        """Logits (…, V) of hidden states (…, C).

        Args:
            hidden: after the final norm.
            table: (V, C), the decoder's token embeddings; unused if not tied.
        """
        if self.quantised is not None:
            out: Tensor = self.quantised(hidden.flatten(0, -2))
            return out.view(*hidden.shape[:-1], -1)
        return F.linear(hidden, self.matrix(table), self.bias)

    def matrix(self, table: Tensor) -> Tensor:
        """(V, C): its own matrix, or the one that it is tied to."""
        return table if self.weight is None else self.weight

    def of_rows(self, rows: Tensor, table: Tensor) -> Callable[[Tensor], Tensor]:
        """What computes the logits (T, K) of some rows of the vocabulary alone.

        Args:
            rows: (K,) int64.
            table: as in `forward`.
        """
        weight = self.matrix(table).index_select(0, rows)
        bias = None if self.bias is None else self.bias.index_select(0, rows)
        if self.quantised is not None:
            return Int8Linear(weight, bias)
        return lambda hidden: F.linear(hidden, weight, bias)


class Seq2Seq(nn.Module):
    """A translator: it reads a source and predicts a target, token by token.

    Attributes:
        config: the settings it was built from.
        encoder: source tokens to the memory.
        decoder: target tokens and the memory to hidden states.
        output: hidden states to the vocabulary.
        end_id: the token that ends each target; it also stands for the start.
    """

    def __init__(self, config: Seq2SeqConfig, end_id: int) -> None:
        """Build and initialise.

        Args:
            config: its settings.
            end_id: id of the end of a target.
        """
        super().__init__()
        self.config, self.end_id = config, end_id
        self.encoder = Encoder(config.encoder)
        self.decoder = Decoder(
            config.decoder, own_table=not config.share_embeddings, blank_start=config.start == "zero"
        )
        self.output = OutputLayer(config.decoder)

    @property
    def target_table(self) -> EmbeddingTable:
        """The embedding table of target tokens."""
        owner = self.encoder if self.config.share_embeddings else self.decoder
        return owner.embeddings.tok_embeddings

    def forward(self, source: Packed, targets: Packed, *, backend: Backend | None = None) -> Tensor:
        """Hidden states (T, C) that each target token is predicted from.

        Args:
            source: packed sources.
            targets: packed targets in the same order, each with its end (`pack(sort=False)`).
            backend: of `xformer.kernels.attention`; None for the device's best.
        """
        memory = self.encoder(source, backend=backend)
        inputs = shifted(targets, self.end_id)
        return self.decoder(inputs, memory, source, table=self.target_table, backend=backend)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits (…, V) of hidden states (…, C)."""
        out: Tensor = self.output(hidden, self.target_table.weight)
        return out

    def loss(
        self,
        source: Packed,
        targets: Packed,
        *,
        label_smoothing: float = 0.0,
        backend: Backend | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of each target token, given the source and the tokens before it.

        The logits are never all in memory.

        Args:
            source: packed sources.
            targets: packed targets in the same order, each with its end.
            label_smoothing: share of each target that is spread evenly over the vocabulary (Szegedy et al.
                2016).
            backend: of `xformer.kernels`; None for the device's best.

        Returns:
            The mean loss in nats, 0 if there is no target, and each token's loss (T,) without a gradient;
            both in at least fp32.
        """
        hidden, expected = self(source, targets, backend=backend), targets.tokens
        if more := rows_to_add(len(hidden), hidden.device):
            hidden = F.pad(hidden, (0, 0, 0, more))
            expected = F.pad(expected, (0, more), value=_IGNORED)
        weight = self.output.matrix(self.target_table.weight)
        loss, items = linear_cross_entropy(
            hidden, weight, expected, bias=self.output.bias, ignore_index=_IGNORED,
            label_smoothing=label_smoothing, return_items=True, backend=backend,
        )  # fmt: skip
        return loss, items[: targets.n_tokens]
