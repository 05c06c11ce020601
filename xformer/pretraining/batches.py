"""The batch of a step, or a process's share of it: the tokens of its own texts, some of them hidden.

Who has which text follows from the step's plan, and what is hidden in a text from the text's place in that
plan. So the shares of all processes are the batch of one: no text is missing, none is in two, the same tokens
are hidden behind the same. How many processes there are changes nothing about what is learned, and may change
from one start to the next. What others have is known from the plan, but for how many tokens they hide, and
which: that they tell each other (`hidden`, `complete`).

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
from xformer.pretraining.step_plan import OBJECTIVES, Objective, StepPlan, StepPlanner, deal
from xformer.runs.config import RunConfig

_MASKING = int.from_bytes(b"masking")  # so that its numbers are not those of another use of the seed


@dataclass(frozen=True)
class StepBatch:
    """What a process computes of a step.

    Attributes:
        plan: the step, of all processes.
        masked: by objective, texts with gaps: `masked_lm`, single ones; `translation_lm`, joined pairs.
        pairs: by objective, pairs apart: `alignment`; in the embedding warm-up, which runs no blocks,
            `bag_alignment`.
    """

    plan: StepPlan
    masked: dict[Objective, MaskedBatch]
    pairs: dict[Objective, AlignmentBatch]

    @property
    def n_tokens(self) -> int:
        """Text tokens of the step, in all processes together."""
        return self.plan.n_tokens

    def digest(self, before: str) -> str:
        """The digest of the plans of all steps up to this one, from that of the steps before."""
        return self.plan.digest(before)

    def to(self, device: torch.device) -> StepBatch:
        """The same on another device."""
        masked = {name: part.to(device) for name, part in self.masked.items()}
        return StepBatch(self.plan, masked, {name: part.to(device) for name, part in self.pairs.items()})

    def tensors(self) -> dict[str, Tensor]:
        """What the objectives read, by name."""
        tensors: dict[str, Tensor] = {}
        for name, part in self.masked.items():
            tensors |= {f"{name}.selected": part.selected, f"{name}.targets": part.targets}
            if part.sample is not None:
                tensors |= {f"{name}.candidates": part.sample.ids}
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
            rank: the process's number.
            world: W, how many processes there are.
            counts: (L, V) how often each token occurs in each language of the split; None to count them.

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
        """This process's batch of step number `step`, on the host; `complete` where it is the only process.

        Args:
            step: from 0.
            stage: name of the stage.

        Raises:
            InputError: a file of the shards was cut short since it was opened.
        """
        self._shards.require_columns()  # planning reads the columns
        plan = self._planner.plan(step, stage)
        masked: dict[Objective, MaskedBatch] = {}
        pairs: dict[Objective, AlignmentBatch] = {}
        for name, examples in plan.examples.items():
            if name in ("masked_lm", "translation_lm"):
                masked[name] = self._masked(name, step, examples)
            else:
                pairs[name] = self._apart(examples)
        batch = StepBatch(plan, masked, pairs)
        return batch if self._world > 1 else self.complete(batch, self.hidden(batch))

    def hidden(self, batch: StepBatch) -> NDArray[np.int32]:
        """How often each piece is hidden in a batch, for each masked objective in it: (objectives, V)."""
        size = self._shards.info.vocab_size
        counts = [np.bincount(part.targets.numpy(), minlength=size) for part in batch.masked.values()]
        return np.array(counts, dtype=np.int32).reshape(-1, size)

    def complete(self, batch: StepBatch, hidden: NDArray[np.int32]) -> StepBatch:
        """The batch with what depends on all processes: the number of hidden tokens, the sampled softmax.

        Args:
            batch: from `make`.
            hidden: (objectives, V) the sum of what is `hidden` in all processes.
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
        """This process's part of single texts (1, B), or of pairs (2, P) that are joined."""
        mine = deal(self._lengths(examples).sum(axis=0), self._world)[self._rank]
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

    def _apart(self, examples: NDArray[np.int64]) -> AlignmentBatch:
        """This process's part of pairs (2, P) that are encoded apart."""
        dealt = deal(self._lengths(examples).sum(axis=0), self._world)
        texts = examples[:, dealt[self._rank]].ravel()
        return alignment_batch(
            self._shards.tokens_of(texts),
            self._lengths(texts),
            self._language[texts],
            self._group[examples[0, np.concatenate(dealt)]],
            tuple(map(len, dealt)),
            self._rank,
        )

    def _lengths(self, examples: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._shards.n_tokens[examples].astype(np.int64)
