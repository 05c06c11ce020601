"""The loss of a translator, and R-drop.

Shapes: T target tokens, C d_model, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from xformer.model.seq2seq import Seq2Seq
from xformer.training.losses import Loss
from xformer.translation.batches import TranslationBatch

_ROWS_AT_ONCE = 1_024
"""Rows whose logits are in memory at a time."""


class TranslationLosses(nn.Module):
    """Cross-entropy of each target token, smoothed; with R-drop the divergence of two passes as well.

    Attributes:
        model: the translator.
    """

    def __init__(self, model: Seq2Seq, label_smoothing: float, r_drop: float) -> None:
        super().__init__()
        self.model, self._smoothing, self._alpha = model, label_smoothing, r_drop

    def forward(self, batch: TranslationBatch, stage: str) -> tuple[Tensor, dict[str, Loss]]:
        """This process's part of the loss.

        Args:
            batch: on the model's device.
            stage: name of the stage; there is only one.

        Returns:
            What is minimised, a scalar, in nats per target token; and the losses by name.
        """
        share = batch.target.n_tokens / batch.n_targets
        if not self._alpha:
            mean, items = self.model.loss(batch.source, batch.target, label_smoothing=self._smoothing)
            loss = Loss(mean * share, items, batch.direction)
            return loss.value, {"translation": loss}
        hidden = [self.model(batch.source, batch.target) for _ in range(2)]
        entropy, divergence = r_drop(self.model, hidden[0], hidden[1], batch.target.tokens, self._smoothing)
        losses = {
            "translation": Loss(entropy.sum() / batch.n_targets, entropy.detach(), batch.direction),
            "r_drop": Loss(divergence.sum() / batch.n_targets, divergence.detach(), batch.direction),
        }
        return losses["translation"].value + self._alpha * losses["r_drop"].value, losses


def r_drop(
    model: Seq2Seq, first: Tensor, second: Tensor, targets: Tensor, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Loss of two passes with other dropout, and how far their answers are apart (Liang et al. 2021).

    Half of the paper's, so that a factor α means the same and the loss is that of one pass.

    Args:
        model: whose output layer is used.
        first: (T, C) hidden states of a pass.
        second: (T, C) of the other.
        targets: (T,) ids.
        label_smoothing: of the cross-entropy.

    Returns:
        (T,) mean cross-entropy of both, and (T,) ¼(KL(p‖q) + KL(q‖p)).
    """
    found = [
        checkpoint(_part, model, *rows, label_smoothing, use_reentrant=False, preserve_rng_state=False)
        for rows in zip(*(x.split(_ROWS_AT_ONCE) for x in (first, second, targets)), strict=True)
    ]
    entropy, divergence = zip(*found, strict=True)
    return torch.cat(entropy), torch.cat(divergence)


def _part(
    model: Seq2Seq, first: Tensor, second: Tensor, targets: Tensor, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    p, q = (_log_probabilities(model.logits(hidden)) for hidden in (first, second))
    entropy = [
        F.nll_loss(x, targets, reduction="none") * (1 - label_smoothing) - label_smoothing * x.mean(-1)
        for x in (p, q)
    ]
    divergence = ((p.exp() - q.exp()) * (p - q)).sum(-1)  # KL(p‖q) + KL(q‖p)
    return (entropy[0] + entropy[1]) / 2, divergence / 4


def _log_probabilities(logits: Tensor) -> Tensor:
    """In at least fp32."""
    return (logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits).log_softmax(-1)
