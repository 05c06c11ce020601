"""Candidates: the part of the vocabulary that a step's hidden tokens are told from.

Telling each hidden token from all V pieces takes most of a small model's time. So the softmax runs over a
sample of the vocabulary: the step's own targets, and n draws by frequency (Bengio and Senécal 2003; Jean et
al. 2015). A piece j is among them with a chance

    π_j = 1 − exp(−(S·p_j + n·q_j))

where p are the frequencies that S targets come from, and q ∝ p^¾ those that are drawn from. Given who is
among the candidates, a token is j with a probability in proportion to p(j | context) / π_j: who is rarely a
candidate and is one now is likely to be the reason. So −log π_j is added to each logit, and the model is
still asked for p(j | context): what it learns needs no sample when it is used.

Shapes: K candidates, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_POWER = 0.75
"""Flattens the frequencies that are drawn from, as in word2vec (Mikolov et al. 2013)."""


@dataclass(frozen=True)
class Candidates:
    """The pieces that the hidden tokens of a step are told from.

    Attributes:
        ids: (K,) int64, ascending, each target among them.
        log_chance: (K,) fp32, the logarithm of each one's chance to be here.
    """

    ids: Tensor
    log_chance: Tensor

    def to(self, device: torch.device | str) -> Candidates:
        """The same on another device."""
        return Candidates(self.ids.to(device), self.log_chance.to(device))


class CandidateSampler:
    """Draws candidates; the same for the same targets and generator."""

    def __init__(self, counts: NDArray[np.integer], draws: int) -> None:
        """Get ready.

        Args:
            counts: (V,) how often each piece occurs where the targets come from.
            draws: n, how many are drawn beside the targets, with replacement.

        Raises:
            ValueError: there is nothing to draw from, or no draw.
        """
        total = float(counts.sum())
        if total <= 0 or draws < 1:
            raise ValueError(f"candidates: expected counts and draws from 1, got {total:g} and {draws}")
        flat = (counts / total) ** _POWER
        self._frequency, self._draw, self._draws = counts / total, flat / flat.sum(), draws
        self._upto = np.cumsum(self._draw)

    def draw(self, targets: NDArray[np.integer], rng: np.random.Generator) -> Candidates:
        """Candidates for a step.

        Args:
            targets: (V,) how often each piece is a target, in all processes.
            rng: the source of chance.
        """
        drawn = np.searchsorted(self._upto, rng.random(self._draws) * self._upto[-1], side="right")
        there = targets > 0
        there[drawn] = True
        ids = np.flatnonzero(there)
        expected = targets.sum() * self._frequency[ids] + self._draws * self._draw[ids]
        # A target that the counts do not know is here for certain.
        chance = np.where(expected > 0, -np.expm1(-expected), 1.0)
        return Candidates(torch.from_numpy(ids), torch.from_numpy(np.log(chance).astype(np.float32)))
