"""Alignment: a text's vector is nearer its translation's than any other text's in the batch.

Shapes: P pairs, of which p are queries or a process's, C vector width, T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xformer.model.packed import Packed, pack_flat
from xformer.objectives.loss import at_least_fp32


@dataclass(frozen=True)
class AlignmentBatch:
    """A process's p of P pairs, encoded apart but in one packed batch; and who the others are.

    Attributes:
        inputs: 2p sequences; before packing the left texts came first, then their translations.
        language: (2p,) the language of each text before packing, on the host.
        group_of_all: (P,) int64, what each pair says, in order of process.
        sizes: how many pairs each process has.
        first: of this process's pairs among all.
    """

    inputs: Packed
    language: NDArray[np.int64]
    group_of_all: Tensor
    sizes: tuple[int, ...]
    first: int

    @property
    def group(self) -> Tensor:
        """(p,) int64, what each of this process's pairs says."""
        return self.group_of_all[self.first : self.first + len(self.language) // 2]

    def to(self, device: torch.device | str) -> AlignmentBatch:
        """The same batch on another device."""
        return replace(self, inputs=self.inputs.to(device), group_of_all=self.group_of_all.to(device))


def alignment_batch(
    tokens: NDArray[np.integer],
    lengths: NDArray[np.integer],
    languages: NDArray[np.integer],
    group_of_all: NDArray[np.integer],
    sizes: tuple[int, ...],
    rank: int = 0,
) -> AlignmentBatch:
    """Pack the p pairs of a process.

    Args:
        tokens: (T,) ids of the left texts, end to end, then of their translations.
        lengths: (2p,) of these texts.
        languages: (2p,) likewise.
        group_of_all: (P,) what each pair says, in order of process.
        sizes: how many pairs each process has.
        rank: this process's number.
    """
    group = torch.from_numpy(group_of_all.astype(np.int64))
    first = sum(sizes[:rank])
    return AlignmentBatch(pack_flat(tokens, lengths), languages.astype(np.int64), group, sizes, first)


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
