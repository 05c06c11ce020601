"""The pretraining losses of a step, or of a process's share of it.

A process's loss is the sum over its own items, divided by the number of items in all processes. So the loss
of a step is the sum of the processes' losses, and its gradient the sum of their gradients: up to rounding,
what one process computes from the whole batch.

The masked objectives need only that number from the other processes, and the batch has it. The alignment
compares each text with all texts of the step, so the vectors of all processes are gathered, and gradients
return to the process of each vector.

Shapes: P pairs, p of this process, D width of a sentence's vector, L languages.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.distributed as dist
from torch import Tensor, nn

from xformer.distributed.gather import gather_rows
from xformer.model.multilingual import MultilingualModel
from xformer.objectives import AlignmentBatch, cosines_of, masked_lm_loss, ranking_losses
from xformer.pretraining.batches import StepBatch
from xformer.pretraining.stages import depth_of
from xformer.runs.config import ObjectivesConfig
from xformer.training.losses import Loss


class StepLosses(nn.Module):
    """The objectives as one module, since DDP and FSDP2 wrap a module's call.

    Attributes:
        model: the model that is trained.
    """

    def __init__(
        self, model: MultilingualModel, objectives: ObjectivesConfig, group: dist.ProcessGroup | None = None
    ) -> None:
        """Wrap a model.

        Args:
            model: the model that is trained.
            objectives: weights, scale and margin.
            group: the process group for gathering vectors. Gradients are summed at the same time, so it must
                be another one than theirs. None for the default group.
        """
        super().__init__()
        self.model = model
        self._objectives, self._group = objectives, group

    def forward(self, batch: StepBatch, stage: str) -> tuple[Tensor, dict[str, Loss]]:
        """This process's part of the weighted sum that is minimised, and of each objective.

        Pairs are aligned both after the blocks and before them, where the model is a bag of subwords. The
        distillation keeps vectors after the blocks near those before.

        Args:
            batch: on the model's device.
            stage: name of the stage; in the embedding warm-up, no blocks are run.

        Returns:
            The sum, a scalar, and the loss of each objective by name; only the sum has a gradient.
        """
        losses: dict[str, Loss] = {}
        n_layers = depth_of(stage)
        aligned = [pairs for name, pairs in batch.pairs.items() if name == "alignment"]
        batches = [part.inputs for part in batch.masked.values()] + [pairs.inputs for pairs in aligned]
        streams = self.model.residual_streams(batches, n_layers=n_layers)
        for (name, part), (_, after) in zip(batch.masked.items(), streams, strict=False):
            losses[name] = masked_lm_loss(self.model, after, part)
        for pairs, both in zip(aligned, streams[len(batch.masked) :], strict=True):
            before, after = (self._vectors(stream, pairs) for stream in both)
            losses["alignment"] = self._alignment_loss(after, pairs)
            losses["bag_alignment"] = self._alignment_loss(before, pairs)
            if self._objectives.distillation_weight:
                losses["distillation"] = self._distillation_loss(before.detach(), after, pairs)
        if (bag := batch.pairs.get("bag_alignment")) is not None:
            vectors = self._vectors(self.model.encoder.embed(bag.inputs), bag)
            losses["bag_alignment"] = self._alignment_loss(vectors, bag)
        total = total_loss(losses, self._objectives)
        return total, {name: replace(loss, value=loss.value.detach()) for name, loss in losses.items()}

    def _vectors(self, stream: Tensor, pairs: AlignmentBatch) -> Tensor:
        """Vectors (2p, D): first those of the left texts, then those of their translations."""
        return pairs.inputs.unsort(self.model.pool(stream, pairs.inputs))

    def _alignment_loss(self, vectors: Tensor, pairs: AlignmentBatch) -> Loss:
        left, right = vectors.chunk(2)
        sides = gather_rows(torch.stack([left, right], dim=1), pairs.sizes, self._group)
        all_left, all_right = sides.unbind(1)
        forward = cosines_of(left, all_right)
        backward = forward.T if len(pairs.sizes) == 1 else cosines_of(right, all_left)
        scale, margin = self._objectives.logit_scale, self._objectives.margin
        items = torch.cat(
            [
                ranking_losses(
                    direction, pairs.group, pairs.group_of_all, first=pairs.first, scale=scale, margin=margin
                )
                for direction in (forward, backward)
            ]
        )
        return Loss(items.sum() / (2 * len(pairs.group_of_all)), items.detach(), pairs.language)

    def _distillation_loss(self, teacher: Tensor, student: Tensor, pairs: AlignmentBatch) -> Loss:
        distance = 1.0 - (teacher * student).sum(dim=-1)
        return Loss(distance.sum() / (2 * len(pairs.group_of_all)), distance.detach(), pairs.language)


def total_loss(losses: dict[str, Loss], objectives: ObjectivesConfig) -> Tensor:
    """The weighted sum of the losses, which is minimised."""
    weights = {
        "masked_lm": objectives.masked_lm_weight,
        "translation_lm": objectives.translation_lm_weight,
        "alignment": objectives.alignment_weight,
        "bag_alignment": objectives.alignment_weight,
        "distillation": objectives.distillation_weight,
    }
    return torch.stack([weights[name] * loss.value for name, loss in losses.items()]).sum()
