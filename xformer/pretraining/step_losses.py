"""The losses of a step, or of a process's share of it, such that everything adds up.

A process's loss is the sum over its own items, divided by the number of all processes' items. So the step's
loss is the sum of the processes' losses, and its gradient the sum of their gradients: what one process would
have computed from the whole batch, up to rounding. One that trains alone has the whole step as its share.

The masked objectives need nothing of the others but that number, which is in the batch. In the alignment a
text must find its translation among all the step's: the vectors of all processes are gathered, and the
gradient of each vector comes back to where it was made.

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
    """The objectives as one module, since DDP and FSDP hook into a module's call.

    Attributes:
        model: what is trained.
    """

    def __init__(
        self, model: MultilingualModel, objectives: ObjectivesConfig, group: dist.ProcessGroup | None = None
    ) -> None:
        """Wrap a model.

        Args:
            model: what is trained.
            objectives: weights, scale and margin.
            group: over which vectors are gathered: not the one that gradients are summed over, whose own
                traffic is under way at the same time. None for all processes.
        """
        super().__init__()
        self.model = model
        self._objectives, self._group = objectives, group

    def forward(self, batch: StepBatch, stage: str) -> tuple[Tensor, dict[str, Loss]]:
        """This process's part of the weighted sum that is descended, and of each objective.

        Pairs are aligned after the blocks, and before them, where the model is a bag of subwords; and their
        vectors after the blocks are held near those before.

        Args:
            batch: on the model's device.
            stage: name of the stage; before the full model is trained, no block is run.

        Returns:
            A scalar, which alone has a gradient; each objective's loss by name, of this process's items.
        """
        losses: dict[str, Loss] = {}
        n_layers = depth_of(stage)
        through = [pairs for name, pairs in batch.pairs.items() if name == "alignment"]
        batches = [part.inputs for part in batch.masked.values()] + [pairs.inputs for pairs in through]
        streams = self.model.residual_streams(batches, n_layers=n_layers)
        for (name, part), (_, after) in zip(batch.masked.items(), streams, strict=False):
            losses[name] = masked_lm_loss(self.model, after, part)
        for pairs, both in zip(through, streams[len(batch.masked) :], strict=True):
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
        """(2p, D): first the left texts', then their translations'."""
        return pairs.inputs.unsort(self.model.pool(stream, pairs.inputs))

    def _alignment_loss(self, vectors: Tensor, pairs: AlignmentBatch) -> Loss:
        left, right = vectors.chunk(2)
        sides = gather_rows(torch.stack([left, right], dim=1), pairs.sizes, self._group)
        all_left, all_right = sides.unbind(1)
        there = cosines_of(left, all_right)
        back = there.T if len(pairs.sizes) == 1 else cosines_of(right, all_left)
        scale, margin = self._objectives.logit_scale, self._objectives.margin
        items = torch.cat(
            [
                ranking_losses(
                    direction, pairs.group, pairs.group_of_all, first=pairs.first, scale=scale, margin=margin
                )
                for direction in (there, back)
            ]
        )
        return Loss(items.sum() / (2 * len(pairs.group_of_all)), items.detach(), pairs.language)

    def _distillation_loss(self, teacher: Tensor, student: Tensor, pairs: AlignmentBatch) -> Loss:
        apart = 1.0 - (teacher * student).sum(dim=-1)
        return Loss(apart.sum() / (2 * len(pairs.group_of_all)), apart.detach(), pairs.language)


def total_loss(losses: dict[str, Loss], objectives: ObjectivesConfig) -> Tensor:
    """The weighted sum that is descended."""
    weights = {
        "masked_lm": objectives.masked_lm_weight,
        "translation_lm": objectives.translation_lm_weight,
        "alignment": objectives.alignment_weight,
        "bag_alignment": objectives.alignment_weight,
        "distillation": objectives.distillation_weight,
    }
    return torch.stack([weights[name] * loss.value for name, loss in losses.items()]).sum()
