"""Batches of pretraining: a process's share of the texts of a step, with masked tokens.

The plan of a step assigns each text to one process, and the masked tokens of a text depend only on its place
in the plan. So the shares of all processes together are the batch of one process, and the number of processes
may change when a run resumes. A process knows the others' texts from the plan, but not their masked tokens,
whose counts are summed over processes (`hidden`, `complete`).

Shapes: L languages, V vocabulary, P pairs, p of this process, W processes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.counter_rng import fold_in, random_bits
from xformer.data.counts import count_tokens
from xformer.data.shards import TokenShards
from xformer.objectives import (
    AlignmentBatch,
    MaskedBatch,
    VocabularySampler,
    alignment_batch,
    masked_lm_batch,
    translation_lm_batch,
)
from xformer.pretraining.stages import FULL
from xformer.pretraining.step_plan import OBJECTIVES, Objective, StepPlan, StepPlanner, assign_by_length
from xformer.runs.config import RunConfig

_MASKING = int.from_bytes(b"masking")  # gives other random numbers than other uses of the seed


@dataclass(frozen=True)
class StepBatch:
    """One process's share of a step.

    Attributes:
        plan: the plan of the whole step.
        masked: masked texts by objective: single ones of `masked_lm`, concatenated pairs of `translation_lm`.
        pairs: pairs by objective, encoded separately: those of `alignment`, or in the embedding warm-up,
            which runs no blocks, of `bag_alignment`.
    """

    plan: StepPlan
    masked: dict[Objective, MaskedBatch]
    pairs: dict[Objective, AlignmentBatch]

    @property
    def n_tokens(self) -> int:
        """Number of text tokens of the step, in all processes."""
        return self.plan.n_tokens

    def digest(self, before: str) -> str:
        """Digest of the plans of all steps up to this one; `before` is that of the steps before."""
        return self.plan.digest(before)

    def to(self, device: torch.device) -> StepBatch:
        """The batch on another device."""
        masked = {name: part.to(device) for name, part in self.masked.items()}
        return StepBatch(self.plan, masked, {name: part.to(device) for name, part in self.pairs.items()})

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the objectives read, by name."""
        tensors: dict[str, Tensor] = {}
        for name, part in self.masked.items():
            tensors |= {f"{name}.selected": part.selected, f"{name}.targets": part.targets}
            if part.sample is not None:
                tensors |= {f"{name}.sample": part.sample.ids}
        for name, pairs in self.pairs.items():
            tensors |= {f"{name}.group": pairs.group}
        inputs = {name: part.inputs for name, part in (self.masked | self.pairs).items()}
        tensors |= {f"{name}.tokens": packed.tokens for name, packed in inputs.items()}
        return tensors | {f"{name}.cu_seqlens": packed.cu_seqlens for name, packed in inputs.items()}


class StepBatches:
    """Makes a process's batch of any step."""

    def __init__(
        self,
        shards: TokenShards,
        config: RunConfig,
        starts_word: NDArray[np.bool_],
        rank: int = 0,
        world: int = 1,
        counts: NDArray[np.int64] | None = None,
    ) -> None:
        """Index the shards.

        Args:
            shards: the training split.
            config: the run's settings.
            starts_word: (V,) whether a token begins a word.
            rank: this process's number.
            world: W, number of processes.
            counts: (L, V) counts of each token in each language of the split; None to count them here.

        Raises:
            InputError: as `StepPlanner`.
        """
        self._shards, self._config, self._starts_word = shards, config, starts_word
        self._rank, self._world = rank, world
        self._language, self._group = np.asarray(shards.language), np.asarray(shards.group)
        self._planner = StepPlanner(shards, config, world)
        self._sampler, objectives = None, config.objectives
        if objectives.sampled_softmax_size and (
            objectives.masked_lm_tokens or objectives.translation_lm_tokens
        ):
            counts = count_tokens(shards) if counts is None else counts
            self._sampler = VocabularySampler(counts.sum(axis=0), objectives.sampled_softmax_size)

    @property
    def aligns(self) -> bool:
        """Whether the alignment is among the objectives."""
        return self._planner.aligns

    def make(self, step: int, stage: str = FULL) -> StepBatch:
        """This process's batch of step number `step`, on the host; complete if it is the only process.

        Args:
            step: from 0.
            stage: name of the stage.

        Raises:
            InputError: a file of the shards was truncated after it was opened.
        """
        self._shards.require_columns()  # planning reads the columns
        plan = self._planner.plan(step, stage)
        names: list[Objective] = [name for name in plan.examples if name in ("masked_lm", "translation_lm")]
        masked = {name: self._masked(name, step, plan.examples[name]) for name in names}
        pairs = {name: self._separate(of) for name, of in plan.examples.items() if name not in names}
        batch = StepBatch(plan, masked, pairs)
        return batch if self._world > 1 else self.complete(batch, self.hidden(batch))

    def hidden(self, batch: StepBatch) -> NDArray[np.int32]:
        """Counts of masked tokens by vocabulary entry, for each masked objective: (objectives, V)."""
        size = self._shards.info.vocab_size
        counts = [np.bincount(part.targets.numpy(), minlength=size) for part in batch.masked.values()]
        return np.array(counts, dtype=np.int32).reshape(-1, size)

    def complete(self, batch: StepBatch, hidden: NDArray[np.int32]) -> StepBatch:
        """The batch with what depends on all processes: the number of masked tokens, the sampled softmax.

        Args:
            batch: from `make`.
            hidden: (objectives, V) the sum of `hidden` over all processes.
        """
        masked = {}
        for (name, part), counts in zip(batch.masked.items(), hidden, strict=True):
            masked[name] = replace(part, n_hidden=int(counts.sum()))
            if self._sampler is not None:
                place = self._config.training.seed, OBJECTIVES.index(name), batch.plan.step
                rng = np.random.default_rng((*place, 1))
                masked[name] = masked[name].with_sample(self._sampler.draw(counts, rng))
        return replace(batch, masked=masked)

    def _masked(self, name: Objective, step: int, examples: NDArray[np.int64]) -> MaskedBatch:
        """This process's share of single texts (1, B), or of pairs (2, P) that are concatenated."""
        mine = assign_by_length(self._lengths(examples).sum(axis=0), self._world)[self._rank]
        make, texts = masked_lm_batch, examples[0, mine]
        if name == "translation_lm":
            make, texts = translation_lm_batch, examples[:, mine].T
        return make(
            self._shards.tokens_of(texts.ravel()),
            self._lengths(texts),
            self._language[texts],
            fold_in(random_bits(_MASKING, self._config.training.seed, OBJECTIVES.index(name), step), mine),
            self._config.objectives.masking,
            self._starts_word,
        )

    def _separate(self, examples: NDArray[np.int64]) -> AlignmentBatch:
        """This process's share of pairs (2, P) whose texts are encoded separately."""
        shares = assign_by_length(self._lengths(examples).sum(axis=0), self._world)
        texts = examples[:, shares[self._rank]].ravel()
        return alignment_batch(
            self._shards.tokens_of(texts),
            self._lengths(texts),
            self._language[texts],
            self._group[examples[0, np.concatenate(shares)]],
            tuple(map(len, shares)),
            self._rank,
        )

    def _lengths(self, examples: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._shards.n_tokens[examples].astype(np.int64)
