"""Losses over many processes, such that everything adds up.

A process's loss is the sum over its own items, divided by the number of all processes' items. So the step's
loss is the sum of the processes' losses, and its gradient the sum of their gradients: what one process would
have computed from the whole batch, up to rounding.

The masked objectives need nothing of the others but that number, which each process knows from the step's
batch. In the alignment a text must find its translation among all the step's: the vectors of all processes
are gathered, and the gradient of each vector comes back to where it was made.

Shapes: P pairs of the step, p of this process, W processes, C vector width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from xformer.model import MultilingualModel
from xformer.objectives import Loss, masked_lm_loss_of
from xformer.objectives.loss import at_least_fp32
from xformer.run_config import ObjectivesConfig
from xformer.training.loop import total_loss
from xformer.training.partition import MaskedShare, PairsShare, StepShare


class ShareLosses(nn.Module):
    """The losses of a process's share as one module, since DDP and FSDP hook into a module's call.

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

    def forward(
        self, share: StepShare, n_layers: int | None
    ) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
        """This process's part of the weighted sum that is descended, and of each objective.

        Args:
            share: on the model's device.
            n_layers: how many blocks to run; None for all.

        Returns:
            A scalar, which alone has a gradient; each objective's value and items, as in `Loss`.
        """
        losses = {}
        masked = {"masked_lm": share.masked_lm, "translation_lm": share.translation_lm}
        gaps = {name: part for name, part in masked.items() if part is not None}
        pairs = [] if share.alignment is None else [share.alignment]
        batches = [part.batch.inputs for part in gaps.values()] + [its.batch.inputs for its in pairs]
        streams = self.model.residual_streams(batches, n_layers=n_layers)
        for (name, part), (_, after) in zip(gaps.items(), streams, strict=False):
            losses[name] = _masked_loss(self.model, after, part)
        if share.alignment is not None:
            before, after = streams[-1]
            losses["alignment"] = self._alignment_loss(after, share.alignment)
            losses["bag_alignment"] = self._alignment_loss(before, share.alignment)
        if (bag := share.bag_alignment) is not None:
            losses["bag_alignment"] = self._alignment_loss(self.model.encoder.embed(bag.batch.inputs), bag)
        total = total_loss(losses, self._objectives)
        return total, {name: (loss.value.detach(), loss.items) for name, loss in losses.items()}

    def _alignment_loss(self, stream: Tensor, share: PairsShare) -> Loss:
        inputs = share.batch.inputs
        left, right = inputs.unsort(self.model.pool(stream, inputs)).chunk(2)
        all_left, all_right = gather_rows(torch.stack([left, right], dim=1), share.sizes, self._group).unbind(
            1
        )
        scale, margin = self._objectives.scale, self._objectives.margin
        items = torch.cat(
            [
                ranking_losses(left, all_right, share, scale=scale, margin=margin),
                ranking_losses(right, all_left, share, scale=scale, margin=margin),
            ]
        )
        return Loss(items.sum() / (2 * sum(share.sizes)), items.detach(), share.batch.language)


def _masked_loss(model: MultilingualModel, stream: Tensor, share: MaskedShare) -> Loss:
    loss = masked_lm_loss_of(model, stream, share.batch)
    part = len(share.batch.language) / sum(share.sizes)
    return Loss(loss.value * part, loss.items, loss.language)


def gather_rows(rows: Tensor, sizes: tuple[int, ...], group: dist.ProcessGroup | None) -> Tensor:
    """The rows of all processes, in order of process. All gradients for a row add up where it was made.

    Args:
        rows: (p, …) of this process.
        sizes: p of each process; of one alone, nothing is asked of the others.
        group: of the processes; None for all.

    Returns:
        (Σp, …).
    """
    if len(sizes) == 1:
        return rows
    # Collectives want equal shapes.
    missing = max(sizes) - len(rows)
    padded = torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])]) if missing else rows
    gathered: Tensor = _Gather.apply(padded, group, len(sizes))
    return torch.cat([part[:size] for part, size in zip(gathered, sizes, strict=True)])


class _Gather(torch.autograd.Function):
    """(W, n, …) of all processes from (n, …) of each; the gradient is the sum of all processes' for it."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: dist.ProcessGroup | None, world: int) -> Tensor:
        ctx.group = group
        gathered = rows.new_empty(world, *rows.shape)
        dist.all_gather(list(gathered), rows.contiguous(), group=group)
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        own = grad.new_empty(grad.shape[1:])
        dist.reduce_scatter(own, list(grad.contiguous()), group=ctx.group)
        return own, None, None


def ranking_losses(
    queries: Tensor, candidates: Tensor, share: PairsShare, *, scale: float, margin: float
) -> Tensor:
    """One direction of `xformer.objectives.contrastive_loss`, for this process's rows of it.

    Args:
        queries: (p, C) unit vectors of this process.
        candidates: (P, C) unit vectors of all, on the other side; row `share.first + i` is the translation of
            query i.
        share: which pairs these are.
        scale: inverse temperature.
        margin: taken off the true pair's cosine.

    Returns:
        (p,) losses in nats.
    """
    own = torch.arange(share.first, share.first + len(queries), device=queries.device)
    is_own = own[:, None] == torch.arange(len(candidates), device=queries.device)[None, :]
    says_the_same = (share.batch.group[:, None] == share.group_of_all[None, :]) & ~is_own
    with torch.autocast(queries.device.type, enabled=False):
        cosines = at_least_fp32(queries) @ at_least_fp32(candidates).T
    # In the type of the cosines: a margin in fp32 would be wrong by 1e-8 among numbers in fp64.
    scores = (scale * (cosines - margin * is_own.to(cosines.dtype))).masked_fill(says_the_same, -torch.inf)
    return F.cross_entropy(scores, own, reduction="none")
