"""The losses of a classifier, and how often it is wrong.

Shapes: U units, which are what gets a label: texts, pairs or words; N classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.finetuning.batches import ExampleBatch
from xformer.finetuning.config import ClassWeights
from xformer.finetuning.inputs.interface import InputBatch
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.parallel import ParallelBatch
from xformer.training.losses import Loss


class ClassificationLosses(nn.Module):
    """Cross-entropy, or for several labels a text the mean of a binary one over the classes.

    To it comes, for texts with translations, the divergence KL(p‖q) of what is said of the translation, q,
    from what is said of the text, p. No gradient goes through p: the text teaches, the translation learns.

    Attributes:
        model: an encoder with a head.
        weight: (N,) weight of a class in the loss; of several labels a text, that of texts that have it.
    """

    def __init__(self, model: FinetunedModel, weight: Tensor | None = None) -> None:
        super().__init__()
        self.model, self.weight = model, weight
        self._multi_label = model.config.classifier.multi_label
        self._smoothing = model.config.classifier.label_smoothing
        self._consistency_weight = model.config.consistency.weight

    def forward(self, batch: ExampleBatch, stage: str) -> tuple[Tensor, dict[str, Loss]]:
        """This process's part of the loss, and of the share of wrong answers.

        Args:
            batch: on the model's device.
            stage: name of the stage; there is only one.

        Returns:
            What is minimised, a scalar: the loss of a unit on average. Of held-out examples it is the share
            of units with a wrong answer, by which checkpoints are compared: of an over-confident model the
            loss rises while its answers still improve.
        """
        logits = self._logits(batch.inputs, batch.vectors)
        weight = None if self.weight is None else self.weight.to(logits)
        if self._multi_label:
            targets = batch.targets.to(logits.dtype)
            items = F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight, reduction="none")
            items = items.mean(dim=1)
            wrong = ((logits > 0) != (batch.targets > 0)).any(dim=1)
        else:
            items = F.cross_entropy(
                logits, batch.targets, weight=weight, reduction="none", label_smoothing=self._smoothing
            )
            wrong = logits.argmax(dim=1) != batch.targets
        error = wrong.to(logits.dtype)
        losses = {
            "classification": Loss(items.sum() / batch.n_units, items.detach(), batch.language),
            "error": Loss(error.sum() / batch.n_units, error, batch.language),
        }
        if batch.held_out:
            return losses["error"].value, losses
        total = losses["classification"].value
        if batch.parallel is not None:
            losses["consistency"] = self._consistency(batch.parallel)
            total = total + self._consistency_weight * losses["consistency"].value
        return total, losses

    def _consistency(self, batch: ParallelBatch) -> Loss:
        teacher, student = self._logits(batch.texts, batch.vectors).chunk(2)
        p, q = (self._log_probabilities(logits) for logits in (teacher.detach(), student))
        # The mean over classes, where each is a question of its own.
        items = (p.exp() * (p - q)).sum(dim=1) / (q.shape[1] / 2 if self._multi_label else 1)
        return Loss(items.sum() / batch.n_pairs, items.detach(), batch.language)

    def _log_probabilities(self, logits: Tensor) -> Tensor:
        """(U, N), or where each class is a question of its own (U, 2N): of yes, and of no."""
        if self._multi_label:
            return torch.cat([F.logsigmoid(logits), F.logsigmoid(-logits)], dim=1)
        return logits.log_softmax(dim=1)

    def _logits(self, inputs: InputBatch, vectors: Tensor | None) -> Tensor:
        logits: Tensor = self.model(inputs) if vectors is None else self.model.head(vectors)
        return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def class_weights(counts: Tensor, n_units: int, kind: ClassWeights, multi_label: bool) -> Tensor | None:
    """Weights of classes in the loss; None where all are 1.

    Balanced, a class k of n_k units among n weighs n / (N n_k), so that the mean weight of a unit is 1; where
    a text may have several labels, texts with the label weigh (n - n_k) / n_k.

    Args:
        counts: (N,) units of each class.
        n_units: n.
        kind: which weights.
        multi_label: whether a text may have several labels.
    """
    if kind == "none":
        return None
    seen = counts.clamp(min=1.0)
    return ((n_units - seen) / seen if multi_label else n_units / (len(counts) * seen)).float()
