"""Sampled softmax: the masked-LM loss over a sample of the vocabulary instead of all of it.

The logits of all V tokens take most of a small model's time. So each step computes them for a sample only:
the step's own targets, and n draws by frequency (Bengio and Senécal 2003; Jean et al. 2015). Token j is in
the sample with the inclusion probability

    π_j = 1 − exp(−(S·p_j + n·q_j))

where p are the frequencies that the S targets come from, and q ∝ p^¾ is the distribution of the draws. Given
the sample, the target is j with a probability proportional to p(j | context) / π_j. So −log π_j is added to
each logit, and the model still learns p(j | context): no sample is needed when it is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_POWER = 0.75
"""Flattens the frequencies of the draws, as in word2vec (Mikolov et al. 2013)."""


@dataclass(frozen=True)
class VocabularySample:
    """The K tokens that the softmax of a step runs over.

    Attributes:
        ids: (K,) int64, ascending; all targets are among them.
        log_inclusion: (K,) fp32, log π of each.
    """

    ids: Tensor
    log_inclusion: Tensor

    def to(self, device: torch.device | str) -> VocabularySample:
        """The same sample on another device."""
        return VocabularySample(self.ids.to(device), self.log_inclusion.to(device))


class VocabularySampler:
    """Draws samples of the vocabulary. The same targets and generator give the same sample."""

    def __init__(self, counts: NDArray[np.integer], draws: int) -> None:
        """Compute the distribution of the draws.

        Args:
            counts: (V,) how often each token occurs in the text that the targets come from.
            draws: n, the number of draws beside the targets, with replacement.

        Raises:
            ValueError: all counts are zero, or `draws` is less than 1.
        """
        total = float(counts.sum())
        if total <= 0 or draws < 1:
            raise ValueError(f"sampled softmax: expected counts and draws from 1, got {total:g} and {draws}")
        flat = (counts / total) ** _POWER
        self._frequency, self._draw, self._draws = counts / total, flat / flat.sum(), draws
        self._upto = np.cumsum(self._draw)

    def draw(self, targets: NDArray[np.integer], rng: np.random.Generator) -> VocabularySample:
        """Draw the sample of a step.

        Args:
            targets: (V,) how often each token is a target, in all processes.
            rng: source of the random numbers.
        """
        drawn = np.searchsorted(self._upto, rng.random(self._draws) * self._upto[-1], side="right")
        included = targets > 0
        included[drawn] = True
        ids = np.flatnonzero(included)
        expected = targets.sum() * self._frequency[ids] + self._draws * self._draw[ids]
        # A target that `counts` lacks is included for certain.
        inclusion = np.where(expected > 0, -np.expm1(-expected), 1.0)
        return VocabularySample(torch.from_numpy(ids), torch.from_numpy(np.log(inclusion).astype(np.float32)))
