"""Heads of an encoder: masked-LM logits, pooling to one vector a sequence, classification.

Shapes: T tokens, B sequences, S selected tokens, C d_model, V vocabulary, K classes.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.kernels import linear_cross_entropy
from xformer.model.config import ModelConfig
from xformer.model.cpu import EmbeddingTable, rows_to_add, segment_sum, weighted_mean
from xformer.model.init import draw_weights, undo_draws
from xformer.model.norms import norm
from xformer.model.packed import Packed

PoolingKind = Literal["mean", "first", "weighted", "last", "max", "by_position", "root_length"]
_IGNORED = -100
"""Target of a row that has no loss."""


class PredictionHead(nn.Module):
    """Dense layer, GELU (or ReLU) and norm before an output layer, as in BERT and ModernBERT."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.relu, self.approximate = config.activation == "relu", config.gelu_approximate
        self.dense = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.norm = norm(config)
        self.init_std = config.init_std
        draw_weights(self, config.init_std)

    def reset_parameters(self) -> None:
        """Initialise again; see `Encoder.reset_parameters`."""
        undo_draws(self)
        draw_weights(self, self.init_std)

    def forward(self, x: Tensor) -> Tensor:
        """(…, C) to (…, C)."""
        x = self.dense(x)
        return self.norm(F.relu(x) if self.relu else F.gelu(x, approximate=self.approximate))


class MaskedLMHead(nn.Module):
    """Masked-LM head: logits over the vocabulary at the selected tokens only.

    The embedding matrix that it may be tied to is an argument of `forward`, so that a state dict holds it
    once.

    Attributes:
        head: dense + GELU + norm, or the identity.
        weight: (V, C) decoder, only if not tied.
        bias: (V,), only if the config has one.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.init_std = config.init_std
        self.head = PredictionHead(config) if config.head_activation_norm else nn.Identity()
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if not config.tie_embeddings:
            self.weight = nn.Parameter(torch.empty(config.rows, config.d_model))
            nn.init.normal_(self.weight, std=config.init_std)
        if config.decoder_bias:
            self.bias = nn.Parameter(torch.zeros(config.rows))

    def reset_parameters(self) -> None:
        """Initialise again; see `Encoder.reset_parameters`."""
        if isinstance(self.head, PredictionHead):
            self.head.reset_parameters()
        if self.weight is not None:
            nn.init.normal_(self.weight, std=self.init_std)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, hidden: Tensor, selected: Tensor, embedding: Tensor) -> Tensor:
        """Logits over the vocabulary at some tokens.

        Args:
            hidden: (T, C) from `Encoder.forward`, final norm included.
            selected: (S,) int64 rows of `hidden`.
            embedding: (V, C), `encoder.token_embedding`; unused if the config does not tie.

        Returns:
            Logits (S, V).
        """
        rows = self.head(hidden.index_select(0, selected))
        return F.linear(rows, embedding if self.weight is None else self.weight, self.bias)

    def loss(
        self,
        hidden: Tensor,
        embedding: EmbeddingTable,
        targets: Tensor,
        sample: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy at some tokens, over the vocabulary or a sample of it (sampled softmax).

        The logits are never all in memory.

        Args:
            hidden: (S, C) of these tokens alone, final norm included.
            embedding: `encoder.embeddings.tok_embeddings`; unused if the config does not tie.
            targets: (S,) int64, the tokens to predict; with `sample`, their places in it.
            sample: (K,) int64 ids of the vocabulary, and (K,) what is added to their logits; None for the
                whole vocabulary.

        Returns:
            The mean loss in nats, 0 if nothing is selected, and each token's loss (S,) without a gradient;
            both in at least fp32.
        """
        n_rows = len(hidden)
        if more := rows_to_add(n_rows, hidden.device):
            hidden = F.pad(hidden, (0, 0, 0, more))
            targets = F.pad(targets, (0, more), value=_IGNORED)
        rows = self.head(hidden)
        weight: Tensor = embedding.weight if self.weight is None else self.weight
        bias: Tensor | None = self.bias
        if sample is not None:
            ids, added = sample
            if more := rows_to_add(len(ids), ids.device):
                ids, added = F.pad(ids, (0, more)), F.pad(added, (0, more), value=-torch.inf)
            weight = embedding(ids) if self.weight is None else F.embedding(ids, self.weight)
            added = added.to(weight.dtype)
            bias = added if bias is None else bias.index_select(0, ids) + added
        loss, items = linear_cross_entropy(
            rows, weight, targets, bias=bias, ignore_index=_IGNORED, return_items=True
        )
        return loss, items[:n_rows]


class Pooling(nn.Module):
    """Pooling of each sequence to one vector, in the packed order; an empty sequence gives zeros.

    `mean` averages the tokens; `first` takes the first one, `last` the last one, `max` each coordinate's
    largest value; `by_position` averages with weights 1, 2, 3, …; `root_length` divides the sum by the square
    root of the length; `weighted` averages with weights softmax(h·w) over the sequence. w starts at zero, so
    that it begins as the mean.
    """

    def __init__(self, d_model: int, kind: PoolingKind = "mean") -> None:
        super().__init__()
        if kind not in get_args(PoolingKind):
            raise ValueError(f"pooling: expected one of {', '.join(get_args(PoolingKind))}, got {kind!r}")
        self.kind = kind
        self.weight = nn.Parameter(torch.zeros(d_model)) if kind == "weighted" else None

    def reset_parameters(self) -> None:
        """Become the mean again."""
        if self.weight is not None:
            nn.init.zeros_(self.weight)

    def forward(self, hidden: Tensor, batch: Packed) -> Tensor:
        """Pool hidden states (T, C), with or without the final norm, to (B, C), in at least fp32."""
        if hidden.dtype in (torch.float16, torch.bfloat16):
            hidden = hidden.float()  # sums of many tokens: 256 + 1 is 256 in bfloat16
        if self.kind in ("first", "last"):
            return _one_token(hidden, batch, last=self.kind == "last")
        if self.kind == "max":
            return _largest(hidden, batch)
        if self.kind == "by_position":
            weights = torch.cat([torch.arange(1, n + 1) for n in (*batch.lengths, 0)]).to(hidden)
            totals = torch.tensor([max(n * (n + 1) / 2, 1) for n in batch.lengths]).to(hidden)
            return segment_sum(hidden * weights[:, None], batch, batch.sequence_ids()) / totals[:, None]
        if self.kind == "root_length":
            lengths = _lengths(batch, hidden).sqrt()
            return segment_sum(hidden, batch, batch.sequence_ids()) / lengths[:, None]
        if self.weight is not None:
            return weighted_mean(hidden, self.weight.to(hidden.dtype), batch)
        return segment_sum(hidden, batch, batch.sequence_ids()) / _lengths(batch, hidden)[:, None]


class Classifier(nn.Module):
    """Classification head: pooling, dense + GELU + norm, dropout, one logit a class."""

    def __init__(self, config: ModelConfig, n_classes: int, pooling: PoolingKind = "mean") -> None:
        super().__init__()
        if n_classes < 1:
            raise ValueError(f"n_classes: expected a whole number from 1, got {n_classes}")
        self.pooling = Pooling(config.d_model, pooling)
        self.head = PredictionHead(config)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.d_model, n_classes)
        draw_weights(self.out, config.init_std)

    def reset_parameters(self) -> None:
        """Initialise again; see `Encoder.reset_parameters`."""
        self.pooling.reset_parameters()
        self.head.reset_parameters()
        undo_draws(self.out)
        draw_weights(self.out, self.head.init_std)

    def forward(self, hidden: Tensor, batch: Packed) -> Tensor:
        """Logits (B, K), in the packed order, of hidden states (T, C)."""
        return self.out(self.dropout(self.head(self.pooling(hidden, batch))))


def _lengths(batch: Packed, like: Tensor) -> Tensor:
    return torch.tensor([max(n, 1) for n in batch.lengths], dtype=like.dtype, device=like.device)


def _one_token(hidden: Tensor, batch: Packed, *, last: bool) -> Tensor:
    filled = [b for b, n in enumerate(batch.lengths) if n]
    rows = torch.tensor(filled, dtype=torch.int64, device=hidden.device)
    places = (
        batch.cu_seqlens.index_select(0, rows + 1) - 1 if last else batch.cu_seqlens.index_select(0, rows)
    )
    out = hidden.index_select(0, places.long())
    return hidden.new_zeros(batch.n_sequences, hidden.shape[1]).index_copy(0, rows, out)


def _largest(hidden: Tensor, batch: Packed) -> Tensor:
    parts = hidden.split([*batch.lengths, len(hidden) - sum(batch.lengths)])[: batch.n_sequences]
    rows = [part.amax(dim=0) if len(part) else hidden.new_zeros(hidden.shape[1]) for part in parts]
    return torch.stack(rows) if rows else hidden.new_zeros(0, hidden.shape[1])
