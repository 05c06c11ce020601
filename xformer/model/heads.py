"""What stands on an encoder: masked-LM logits, one vector a sequence, classes.

Shapes: T tokens, B sequences, S selected tokens, C d_model, V vocabulary, K classes.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from xformer.kernels import linear_cross_entropy
from xformer.model.config import ModelConfig
from xformer.model.init import draw_weights
from xformer.model.layers import norm
from xformer.model.packed import Packed
from xformer.model.shapes import rows_to_add
from xformer.model.tables import Table

PoolingKind = Literal["mean", "first", "weighted"]
_IGNORED = -100
"""Target of a row that has no loss."""


class PredictionHead(nn.Module):
    """Dense, GELU, norm: what BERT and ModernBERT put before an output layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.approximate = config.gelu_approximate
        self.dense = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.norm = norm(config)
        draw_weights(self, config.init_std)

    def forward(self, x: Tensor) -> Tensor:
        """(…, C) to (…, C)."""
        return self.norm(F.gelu(self.dense(x), approximate=self.approximate))


class MaskedLMHead(nn.Module):
    """Logits over the vocabulary, at the selected tokens only: (T, V) is never formed.

    Tied to the embedding matrix, it owns no copy of it: the matrix is an argument of `forward`, so that a
    state dict holds it once.

    Attributes:
        head: dense + GELU + norm, or the identity.
        weight: (V, C) decoder, only if not tied.
        bias: (V,), only if the config has one.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head = PredictionHead(config) if config.head_activation_norm else nn.Identity()
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if not config.tie_embeddings:
            self.weight = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
            nn.init.normal_(self.weight, std=config.init_std)
        if config.decoder_bias:
            self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: Tensor, selected: Tensor, embedding: Tensor) -> Tensor:
        """Score the vocabulary at some tokens.

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
        embedding: Table,
        targets: Tensor,
        pieces: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of some tokens, whose logits are never all in memory.

        Args:
            hidden: (S, C) of these tokens alone, final norm included.
            embedding: `encoder.embeddings.tok_embeddings`; unused if the config does not tie.
            targets: (S,) int64, the tokens that should be there; with `pieces` their places among those.
            pieces: (K,) int64 ids that alone are to be told apart, and (K,) what is added to their logits;
                None for the whole vocabulary.

        Returns:
            The mean in nats, 0 if nothing is selected, and each loss (S,), without a gradient; both in
            at least fp32.
        """
        n_rows = len(hidden)
        if more := rows_to_add(n_rows, hidden.device):
            hidden = F.pad(hidden, (0, 0, 0, more))
            targets = F.pad(targets, (0, more), value=_IGNORED)
        rows = self.head(hidden)
        weight: Tensor = embedding.weight if self.weight is None else self.weight
        bias: Tensor | None = self.bias
        if pieces is not None:
            ids, added = pieces
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
    """One vector a sequence, in the packed order; an empty sequence gives zeros.

    `mean` averages the tokens; `first` takes the first one; `weighted` averages with weights `exp(w·h)` that
    sum to one in each sequence. It learns w from zero, so it begins as the mean.
    """

    def __init__(self, d_model: int, kind: PoolingKind = "mean") -> None:
        super().__init__()
        if kind not in ("mean", "first", "weighted"):
            raise ValueError(f"pooling: expected 'mean', 'first' or 'weighted', got {kind!r}")
        self.kind = kind
        self.weight = nn.Parameter(torch.zeros(d_model)) if kind == "weighted" else None

    def forward(self, hidden: Tensor, batch: Packed) -> Tensor:
        """Pool hidden states (T, C), with or without the final norm, to (B, C), in at least fp32."""
        if hidden.dtype in (torch.float16, torch.bfloat16):
            hidden = hidden.float()  # sums of many tokens: 256 + 1 is 256 in bfloat16
        if self.kind == "first":
            return _first(hidden, batch)
        sequence = batch.sequence_ids()
        if self.weight is None:
            return segment_sum(hidden, batch, sequence) / _lengths(batch, hidden)[:, None]
        pooled: Tensor = _WeightedMean.apply(hidden, self.weight.to(hidden.dtype), batch, sequence)
        return pooled


class _WeightedMean(torch.autograd.Function):
    """Written out, because autograd's version takes twice as long, most of it first touches of memory.

    In a sequence b, shares are `a_t = softmax(h_t·w)` and the result is `p_b = Σ a_t h_t`. Where g_b is the
    gradient of p_b, that of the score is `s_t = a_t g_b·(h_t - p_b)`, of h_t `a_t g_b + s_t w`, and of w
    `Σ s_t h_t`.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, batch: Packed, sequence: Tensor) -> Tensor:
        scores = hidden @ weight
        peaks = scores.new_full((batch.n_sequences,), -torch.inf)
        peaks = peaks.scatter_reduce(0, sequence, scores, "amax")
        share = (scores - peaks[sequence]).exp()
        share = share / segment_sum(share[:, None], batch, sequence)[:, 0][sequence]
        pooled = segment_sum(hidden * share[:, None], batch, sequence)
        ctx.save_for_backward(hidden, weight, sequence, share, pooled)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden, weight, sequence, share, pooled = ctx.saved_tensors
        rows = grad.index_select(0, sequence)
        slope = share * (torch.linalg.vecdot(rows, hidden) - torch.linalg.vecdot(grad, pooled)[sequence])
        return rows.mul_(share[:, None]).addr_(slope, weight), slope @ hidden, None, None


class Classifier(nn.Module):
    """Pool, dense + GELU + norm, dropout, one logit a class."""

    def __init__(self, config: ModelConfig, n_classes: int, pooling: PoolingKind = "mean") -> None:
        super().__init__()
        if n_classes < 1:
            raise ValueError(f"n_classes: expected a whole number from 1, got {n_classes}")
        self.pooling = Pooling(config.d_model, pooling)
        self.head = PredictionHead(config)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.d_model, n_classes)
        draw_weights(self.out, config.init_std)

    def forward(self, hidden: Tensor, batch: Packed) -> Tensor:
        """Logits (B, K), in the packed order, of hidden states (T, C)."""
        return self.out(self.dropout(self.head(self.pooling(hidden, batch))))


def segment_sum(x: Tensor, batch: Packed, sequence: Tensor) -> Tensor:
    """Add up the rows of each sequence: (T, C) to (B, C); nothing adds up to zero.

    Args:
        x: (T, C).
        batch: the layout.
        sequence: (T,) `batch.sequence_ids()`.
    """
    if x.device.type == "cpu":
        # 1.1 ms forward and backward at T=8192, B=600, C=256 on one core; segment_reduce takes 4.9, cumsum
        # 25, a sparse product 2.9, embedding_bag 1.9.
        return x.new_zeros(batch.n_sequences, x.shape[1]).index_add(0, sequence, x)
    # index_add on a GPU adds in any order, so its sums would differ from run to run.
    lengths = torch.tensor(batch.lengths, device=x.device)
    return torch.segment_reduce(x, "sum", lengths=lengths, axis=0, unsafe=True, initial=0)


def _lengths(batch: Packed, like: Tensor) -> Tensor:
    return torch.tensor([max(n, 1) for n in batch.lengths], dtype=like.dtype, device=like.device)


def _first(hidden: Tensor, batch: Packed) -> Tensor:
    filled = [b for b, n in enumerate(batch.lengths) if n]
    rows = torch.tensor(filled, dtype=torch.int64, device=hidden.device)
    out = hidden.index_select(0, batch.cu_seqlens.index_select(0, rows).long())
    return hidden.new_zeros(batch.n_sequences, hidden.shape[1]).index_copy(0, rows, out)
