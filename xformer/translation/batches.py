"""The batch of each step: a pure function of seed and step.

Directions are drawn by temperature, without repetition inside each until all its pairs have come
(`xformer.data.sampling`). A stretch of draws is sorted by length and divided into steps of as many tokens
each, which come in random order. So a step has pairs of like length, whose attention is dense, and still
random ones.

Shapes: P pairs, T target tokens.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.sampling import ByLanguage, LanguageSampler, language_shares
from xformer.model.packed import Packed
from xformer.translation.encoded import EncodedPairs

STEPS_AT_ONCE = 64
"""Steps that a stretch is divided into."""


@dataclass(frozen=True)
class TranslationBatch:
    """A process's share of the pairs of a step.

    Attributes:
        step: from 0.
        source: packed sources.
        target: packed targets in the same order.
        direction: (T,) number of each target token's direction, on the host.
        n_targets: target tokens of the step in all processes.
        n_tokens: tokens of the step in all processes.
        rows: digest of the numbers of the step's pairs.
    """

    step: int
    source: Packed
    target: Packed
    direction: NDArray[np.int64]
    n_targets: int
    n_tokens: int
    rows: str

    def to(self, device: torch.device) -> TranslationBatch:
        """The same on another device."""
        return replace(self, source=self.source.to(device), target=self.target.to(device))

    def digest(self, before: str) -> str:
        """Digest of the pairs of all steps up to this one."""
        return hashlib.sha256(f"{before} {self.step} {self.rows}".encode()).hexdigest()

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the losses read."""
        return {
            "source": self.source.tokens,
            "source starts": self.source.cu_seqlens,
            "target": self.target.tokens,
            "target starts": self.target.cu_seqlens,
        }


class TranslationBatches:
    """The batches of training.

    Attributes:
        steps_of_a_pass: steps in which as many pairs are drawn as there are.
    """

    def __init__(
        self,
        data: EncodedPairs,
        batch_tokens: int,
        temperature: float,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """Prepare; no batch is made yet.

        Args:
            data: the training pairs.
            batch_tokens: of sources and targets of a step in all processes, about.
            temperature: T of the directions' shares.
            seed: of the draws.
            rank: this process's number.
            world: number of processes.
        """
        self._data, self._seed, self._rank, self._world = data, seed, rank, world
        counts = data.pairs.counts
        shares = language_shares(counts, 1 / temperature)
        self._source, self._target = data.source_lengths, data.target_lengths
        both = np.bincount(data.pairs.direction, weights=self._source + self._target, minlength=len(counts))
        tokens_a_pair = float(shares @ (both / counts))
        pairs_a_step = max(1, round(batch_tokens / tokens_a_pair))
        self._draws = STEPS_AT_ONCE * pairs_a_step
        self.steps_of_a_pass = max(1, round(len(data) / pairs_a_step))
        self._sampler = LanguageSampler(ByLanguage(data.pairs.direction, len(counts)), shares, seed)
        self._stretch = lru_cache(maxsize=2)(self._divided)

    def make(self, step: int) -> TranslationBatch:
        """This process's share of a step."""
        stretch, place = divmod(step, STEPS_AT_ONCE)
        rows = self._stretch(stretch)[place]
        mine = rows[self._rank :: self._world]
        source, target = self._data.pack(mine)
        return TranslationBatch(
            step=step,
            source=source,
            target=target,
            direction=np.repeat(self._data.pairs.direction[mine], self._target[mine]),
            n_targets=int(self._target[rows].sum()),
            n_tokens=int((self._source[rows] + self._target[rows]).sum()),
            rows=hashlib.sha256(rows.tobytes()).hexdigest(),
        )

    def _divided(self, stretch: int) -> list[NDArray[np.int64]]:
        """The pairs of each step of a stretch, longest first."""
        rows = self._sampler.draw(stretch * self._draws, self._draws)
        rows = rows[np.lexsort((rows, self._source[rows], self._target[rows]))[::-1]]
        upto = np.cumsum(self._source[rows] + self._target[rows])
        cuts = np.searchsorted(upto, upto[-1] * np.arange(1, STEPS_AT_ONCE) / STEPS_AT_ONCE, side="right")
        # At least one pair for each step, however long some are.
        numbers = np.arange(1, STEPS_AT_ONCE)
        cuts = np.maximum.accumulate(np.maximum(cuts - numbers, 0)) + numbers
        cuts = np.minimum(cuts, len(rows) - STEPS_AT_ONCE + numbers)
        parts = np.split(rows, cuts)
        order = np.random.default_rng((self._seed, 1, stretch)).permutation(STEPS_AT_ONCE)
        return [parts[place] for place in order]
