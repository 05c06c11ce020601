"""Pretraining as a task: masked LM, translation LM and alignment on one multilingual corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatch, StepBatches
from xformer.pretraining.parameter_groups import make_optimizer
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL, group_factors
from xformer.pretraining.step_losses import StepLosses
from xformer.pretraining.tally import LanguageTally
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import RunConfig
from xformer.training.optimizer import AdamWithTables
from xformer.training.schedule import Span
from xformer.training.task import Stage, Task


class PretrainingTask(Task[StepBatch]):
    """The task of `xformer pretrain`.

    Attributes:
        model: the encoder with its heads.
        losses: the objectives.
        categories: the languages.
        held_out: a batch of the dev split with all objectives; None if the split has too few texts.
        batches: makes the batch of each step.
    """

    model: MultilingualModel

    def __init__(
        self,
        config: RunConfig,
        model: MultilingualModel,
        batches: StepBatches,
        shards: TokenShards,
        held_out: StepBatch | None = None,
        *,
        sparse_tables: bool = False,
        gather_group: dist.ProcessGroup | None = None,
    ) -> None:
        """Make the losses and set the tables' kind of gradient.

        Args:
            config: the run's settings.
            model: with its first weights.
            batches: makes batches of the training split.
            shards: the training split.
            held_out: from `held_out_batch`.
            sparse_tables: whether tables have gradients by rows (`EmbeddingTable.sparse`): for one process on
                a CPU. Many processes sum dense ones; a GPU would have to wait for the host.
            gather_group: the process group for gathering sentence vectors; None for the default group.
        """
        self.model, self.batches, self.held_out = model, batches, held_out
        self.losses = StepLosses(model, config.objectives, gather_group)
        self.categories = shards.languages
        self._config, self._info = config, shards.info
        self._sources = shards.sources if config.data.sources else ()
        self.max_grad_norm = config.optimizer.max_grad_norm
        for table in model.encoder.embeddings.tables:
            table.sparse = sparse_tables

    def batch(self, step: int, stage: str) -> StepBatch:
        """This process's batch of a step."""
        return self.batches.make(step, stage)

    def complete(self, batch: StepBatch, add_up: Callable[[Tensor], Tensor]) -> StepBatch:
        """The batch, with the masked tokens of all processes."""
        hidden = add_up(torch.from_numpy(self.batches.hidden(batch)))
        return self.batches.complete(batch, hidden.numpy())

    def stage(self, state: TrainingState, span: Span) -> Stage:
        """The embedding warm-up in the first part of the run, then the full stage.

        The warm-up has only the alignment; without that objective there is no warm-up. If a run is made
        longer in the full stage, it stays in that stage and keeps the stage's beginning.
        """
        share = span.progress(state.step, state.elapsed)
        warmup = self._config.objectives.embedding_warmup_share if self.batches.aligns else 0.0
        if state.stage == FULL:
            warmup = min(warmup, span.progress(*state.stage_began))
        name = EMBEDDING_WARMUP if share < warmup else FULL
        return Stage(name, group_factors(share, warmup, self._config.optimizer))

    def optimizer(self) -> AdamWithTables:
        """AdamW in groups, and row-wise AdaGrad for bigrams."""
        return make_optimizer(self.model, self._config.optimizer)

    def tally(self, state: Mapping[str, tuple[float, ...]]) -> LanguageTally:
        """A tally of losses and texts by language."""
        return LanguageTally(self.categories, state, self._sources)

    def blocks(self) -> Sequence[nn.Module]:
        """The encoder's blocks."""
        return list(self.model.encoder.layers)

    def fingerprints(self) -> dict[str, str]:
        """Hashes of the text and of the tokenizer."""
        return {"text": self._info.split_sha256, "tokenizer": self._info.tokenizer}


def held_out_batch(
    shards: TokenShards, config: RunConfig, starts_word: NDArray[np.bool_]
) -> StepBatch | None:
    """A fixed batch of held-out texts, by whose loss checkpoints are compared.

    Training losses cannot be compared: each is that of other texts and masks, and in the two stages of other
    objectives. This batch has all objectives, and its softmax runs over the whole vocabulary. Its loss takes
    less time than one step of training. It is drawn from all sources: rules about those are for training.

    Args:
        shards: the dev split.
        config: the run's settings.
        starts_word: (V,) whether a token begins a word.

    Returns:
        None if the split has too few texts for an objective.
    """
    data = replace(config.data, sources=(), min_sampled_texts=1)
    whole = replace(config, data=data, objectives=replace(config.objectives, sampled_softmax_size=0))
    try:
        return StepBatches(shards, whole, starts_word).make(0)
    except InputError:
        return None
