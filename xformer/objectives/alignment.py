"""Alignment: a text's vector is nearer its translation's than any other text's in the batch.

Shapes: P pairs, C vector width, B = 2P sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xformer.layers import Backend
from xformer.model import MultilingualModel
from xformer.objectives.loss import Loss, at_least_fp32
from xformer.packed import Packed, pack


@dataclass(frozen=True)
class AlignmentBatch:
    """P pairs, encoded apart but in one packed batch.

    Attributes:
        inputs: 2P sequences; before packing the left texts came first, then their translations.
        group: (P,) int64, what each pair says.
        language: (2P,) the language of each text before packing, on the host.
    """

    inputs: Packed
    group: Tensor
    language: NDArray[np.int64]

    def to(self, device: torch.device | str) -> AlignmentBatch:
        """The same batch on another device."""
        return AlignmentBatch(self.inputs.to(device), self.group.to(device), self.language)


def alignment_batch(
    left: Sequence[NDArray[np.int32]],
    right: Sequence[NDArray[np.int32]],
    group: NDArray[np.integer],
    left_language: NDArray[np.integer],
    right_language: NDArray[np.integer],
) -> AlignmentBatch:
    """Pack P pairs.

    Args:
        left: P sequences of ids.
        right: their translations.
        group: (P,) what each pair says.
        left_language: (P,).
        right_language: (P,).
    """
    language = np.concatenate([left_language, right_language]).astype(np.int64)
    return AlignmentBatch(pack([*left, *right]), torch.from_numpy(group.astype(np.int64)), language)


def contrastive_loss(left: Tensor, right: Tensor, group: Tensor, *, scale: float, margin: float) -> Tensor:
    """Translation ranking both ways with an additive margin (Yang et al. 2019; LaBSE, Feng et al. 2022).

    For a pair i: −log of softmax over j of scale·(cos(left_i, right_j) − margin·[i = j]) at j = i, and the
    same from right to left. Another pair that says the same is no wrong answer, and is left out of the sum.

    Args:
        left: (P, C) unit vectors.
        right: (P, C) unit vectors, row i the translation of left's.
        group: (P,) what each pair says.
        scale: inverse temperature.
        margin: taken off the true pair's cosine.

    Returns:
        (2P,) losses in nats, in at least fp32: left to right, then right to left.
    """
    rows = torch.arange(len(left), device=left.device)
    same = group[:, None] == group[None, :]
    same.fill_diagonal_(False)
    # Autocast would multiply in bf16: at a scale of 20, its rounding of a cosine is worth 0.08 nats.
    with torch.autocast(left.device.type, enabled=False):
        cosines = at_least_fp32(left) @ at_least_fp32(right).T
    scores = scale * (cosines - margin * torch.eye(len(left), dtype=cosines.dtype, device=left.device))
    scores = scores.masked_fill(same, -torch.inf)
    return torch.cat(
        [F.cross_entropy(scores, rows, reduction="none"), F.cross_entropy(scores.T, rows, reduction="none")]
    )


def alignment_loss(
    model: MultilingualModel,
    batch: AlignmentBatch,
    *,
    scale: float,
    margin: float,
    n_layers: int | None = None,
    backend: Backend | None = None,
) -> Loss:
    """Contrastive loss of a batch of pairs, in nats a text."""
    stream = model.encoder(batch.inputs, n_layers=n_layers, backend=backend, final_norm=False)
    return alignment_loss_of(model, stream, batch, scale=scale, margin=margin)


def alignment_loss_of(
    model: MultilingualModel, stream: Tensor, batch: AlignmentBatch, *, scale: float, margin: float
) -> Loss:
    """The same from the batch's residual stream (T, C), before or after whatever block."""
    left, right = batch.inputs.unsort(model.pool(stream, batch.inputs)).chunk(2)
    items = contrastive_loss(left, right, batch.group, scale=scale, margin=margin)
    return Loss(items.mean(), items.detach(), batch.language)
