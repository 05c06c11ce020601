"""Alignment: a text's vector is nearer its translation's than any other text's in the batch.

Shapes: P pairs, of which p are queries, C vector width, B = 2P sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xformer.objectives.loss import at_least_fp32
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


def cosines_of(queries: Tensor, candidates: Tensor) -> Tensor:
    """Of unit vectors (p, C) and (P, C), the (p, P) cosines, in at least fp32.

    Autocast would multiply in bf16: at a scale of 20, its rounding of a cosine is worth 0.08 nats.
    """
    with torch.autocast(queries.device.type, enabled=False):
        return at_least_fp32(queries) @ at_least_fp32(candidates).T


def ranking_losses(
    cosines: Tensor, group: Tensor, group_of_all: Tensor, *, first: int, scale: float, margin: float
) -> Tensor:
    """Translation ranking in one direction, with a margin (Yang et al. 2019; LaBSE, Feng et al. 2022).

    For a query i: −log of softmax over candidates j of scale·(cos(i, j) − margin·[j translates i]) at the
    translation. Another candidate that says the same is no wrong answer, and is left out of the sum.

    Args:
        cosines: (p, P) of p queries with all P candidates; number `first + i` is the translation of query i.
        group: (p,) what each query says.
        group_of_all: (P,) what each candidate says.
        first: place of the first query's translation.
        scale: inverse temperature.
        margin: taken off the true pair's cosine.

    Returns:
        (p,) losses in nats.
    """
    own = torch.arange(first, first + len(cosines), device=cosines.device)
    is_own = own[:, None] == torch.arange(cosines.shape[1], device=cosines.device)[None, :]
    says_the_same = (group[:, None] == group_of_all[None, :]) & ~is_own
    # In the type of the cosines: a margin in fp32 would be wrong by 1e-8 among numbers in fp64.
    scores = (scale * (cosines - margin * is_own.to(cosines.dtype))).masked_fill(says_the_same, -torch.inf)
    return F.cross_entropy(scores, own, reduction="none")


def contrastive_loss(left: Tensor, right: Tensor, group: Tensor, *, scale: float, margin: float) -> Tensor:
    """Translation ranking both ways.

    Args:
        left: (P, C) unit vectors.
        right: (P, C) unit vectors, row i the translation of left's.
        group: (P,) what each pair says.
        scale: inverse temperature.
        margin: taken off the true pair's cosine.

    Returns:
        (2P,) losses in nats, in at least fp32: left to right, then right to left.
    """
    there = cosines_of(left, right)
    return torch.cat(
        [
            ranking_losses(direction, group, group, first=0, scale=scale, margin=margin)
            for direction in (there, there.T)
        ]
    )
