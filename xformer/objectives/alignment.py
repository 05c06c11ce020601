"""Translation alignment: a contrastive loss that tells a text's translation from the other texts of a batch.

Shapes: P translation pairs of a step, p of one process, C vector width, T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xformer.model.packed import Packed, pack_flat


@dataclass(frozen=True)
class AlignmentBatch:
    """One process's translation pairs of a step, both sides in one packed batch.

    Attributes:
        inputs: 2p sequences: before packing, the left texts, then their translations.
        language: (2p,) the language of each text before packing, on the host.
        group_of_all: (P,) int64, the group of each pair of the step, in order of process. Texts of one group
            are translations of each other.
        sizes: the number of pairs in each process.
        first: index of this process's first pair among all.
    """

    inputs: Packed
    language: NDArray[np.int64]
    group_of_all: Tensor
    sizes: tuple[int, ...]
    first: int

    @property
    def group(self) -> Tensor:
        """(p,) int64, the group of each of this process's pairs."""
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
    """Pack the pairs of a process.

    Args:
        tokens: (T,) ids of the left texts, end to end, then of their translations.
        lengths: (2p,) of these texts.
        languages: (2p,) of these texts.
        group_of_all: (P,) the group of each pair of the step, in order of process.
        sizes: the number of pairs in each process.
        rank: this process's number.
    """
    group = torch.from_numpy(group_of_all.astype(np.int64))
    first = sum(sizes[:rank])
    return AlignmentBatch(pack_flat(tokens, lengths), languages.astype(np.int64), group, sizes, first)


def cosines_of(queries: Tensor, candidates: Tensor) -> Tensor:
    """Cosines (p, P) of unit vectors (p, C) and (P, C), in at least fp32.

    Autocast would multiply in bf16: at a scale of 20, its rounding of a cosine is worth 0.08 nats.
    """
    dtype = torch.promote_types(queries.dtype, torch.float32)
    with torch.autocast(queries.device.type, enabled=False):
        return queries.to(dtype) @ candidates.to(dtype).T


def ranking_losses(
    cosines: Tensor, group: Tensor, group_of_all: Tensor, *, first: int, scale: float, margin: float
) -> Tensor:
    """Translation ranking in one direction, with a margin (Yang et al. 2019; LaBSE, Feng et al. 2022).

    The loss of query i is −log softmax_j(scale·(cos(i, j) − margin·[j is the translation of i])) at its
    translation, over the candidates j. Other candidates of the query's group are left out of the softmax,
    because they are translations too.

    Args:
        cosines: (p, P) of queries and candidates; candidate `first + i` is the translation of query i.
        group: (p,) the group of each query.
        group_of_all: (P,) the group of each candidate.
        first: index of the first query's translation.
        scale: inverse temperature.
        margin: subtracted from the cosine of the true pair.

    Returns:
        (p,) losses in nats.
    """
    own = torch.arange(first, first + len(cosines), device=cosines.device)
    is_own = own[:, None] == torch.arange(cosines.shape[1], device=cosines.device)[None, :]
    also_right = (group[:, None] == group_of_all[None, :]) & ~is_own
    # In the dtype of the cosines: a margin in fp32 is wrong by 1e-8 in fp64.
    scores = (scale * (cosines - margin * is_own.to(cosines.dtype))).masked_fill(also_right, -torch.inf)
    return F.cross_entropy(scores, own, reduction="none")


def contrastive_loss(left: Tensor, right: Tensor, group: Tensor, *, scale: float, margin: float) -> Tensor:
    """Translation ranking in both directions (`ranking_losses`).

    Args:
        left: (P, C) unit vectors.
        right: (P, C) unit vectors, row i the translation of row i of `left`.
        group: (P,) the group of each pair.
        scale: inverse temperature.
        margin: subtracted from the cosine of the true pair.

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
