"""Classification of texts, pairs or words as a task of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from xformer.finetuning.batches import EpochBatches, ExampleBatch, Examples, held_out_batches
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.losses import ClassificationLosses, class_weights
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.parallel import ParallelBatches, ParallelTexts
from xformer.finetuning.parameter_groups import freeze_unused, make_optimizer
from xformer.finetuning.predict import vectors_of
from xformer.runs.checkpoint import TrainingState
from xformer.training.optimizer import AdamWithTables
from xformer.training.schedule import Span, learning_rate_factor
from xformer.training.tally import Tally
from xformer.training.task import Stage, Task

D = TypeVar("D", Examples, ParallelTexts)

_HELD_OUT_TOKENS = 4_096
"""Tokens of a batch of held-out examples."""


class ClassificationTask(Task[ExampleBatch]):
    """The task of `xformer finetune`: all kinds of examples have one loop, one loss and one optimizer.

    Attributes:
        model: an encoder with a head.
        losses: cross-entropy, the share of wrong answers, and the loss of translations.
        categories: the languages of the training examples, of those that are held out, and of translations.
    """

    model: FinetunedModel

    def __init__(
        self,
        config: FinetuningConfig,
        model: FinetunedModel,
        train: Examples,
        dev: Examples,
        tokenizer: str,
        parallel: ParallelTexts | None = None,
        *,
        rank: int = 0,
        world: int = 1,
        sparse_tables: bool = False,
    ) -> None:
        """Set what learns, and encode all of them once where the encoder does not.

        Args:
            config: the run's settings.
            model: with its first weights, on the host.
            train: the training examples.
            dev: examples of the source languages that are held out, by which checkpoints are compared.
            tokenizer: its fingerprint.
            parallel: texts in the source languages with their translations; None for none.
            rank: this process's number.
            world: number of processes.
            sparse_tables: whether tables have gradients by rows, as in pretraining.
        """
        freeze_unused(model)
        if config.classifier.frozen:
            cpu = torch.device("cpu")
            train = replace(train, vectors=vectors_of(model, train.inputs, cpu))
            dev = replace(dev, vectors=vectors_of(model, dev.inputs, cpu))
            if parallel is not None:
                parallel = replace(parallel, vectors=vectors_of(model, parallel.texts, cpu))
        others = parallel.languages if parallel is not None else ()
        languages = tuple(sorted({*train.languages, *dev.languages, *others}))
        train, dev = (_renumbered(one, languages) for one in (train, dev))
        self.model, self.categories = model, languages
        self.max_grad_norm = config.optimizer.max_grad_norm
        weight = class_weights(
            train.counts, train.n_units, config.classifier.class_weights, config.classifier.multi_label
        )
        self.losses = ClassificationLosses(model, weight)
        self._config = config
        seed, size = config.training.seed, config.consistency.batch_pairs
        self._batches = EpochBatches(train, config.classifier.batch_texts, seed, rank, world)
        self._parallel: ParallelBatches | None = None
        self._dev = list(held_out_batches(dev, _HELD_OUT_TOKENS))
        self._fingerprints = {
            "training text": train.fingerprint,
            "dev text": dev.fingerprint,
            "tokenizer": tokenizer,
        }
        if parallel is not None:
            parallel = _renumbered(parallel, languages)
            self._parallel = ParallelBatches(parallel, size, seed, rank, world)
            self._fingerprints["parallel text"] = parallel.fingerprint
        for table in model.encoder.embeddings.tables:
            table.sparse = sparse_tables and table.weight.requires_grad

    def batch(self, step: int, stage: str) -> ExampleBatch:
        """This process's share of a step."""
        batch = self._batches.make(step)
        if self._parallel is None:
            return batch
        parallel = self._parallel.make(step)
        return replace(batch, parallel=parallel, n_tokens=batch.n_tokens + parallel.n_tokens)

    def stage(self, state: TrainingState, span: Span) -> Stage:
        """The only stage, in which all learning rates rise and fall together."""
        share = span.progress(state.step, state.elapsed)
        factor = learning_rate_factor(share, *self._config.optimizer.schedule)
        names = [group["name"] for group in self._groups]
        return Stage("finetuning", dict.fromkeys(names, factor))

    def optimizer(self) -> AdamWithTables:
        """AdamW, in groups by depth."""
        optimizer = make_optimizer(self.model)
        self._groups = optimizer.param_groups
        return optimizer

    def tally(self, state: Mapping[str, tuple[float, ...]]) -> Tally[ExampleBatch]:
        """Means of the losses and of the share of wrong answers."""
        return Tally(state)

    def held_out_loss(self, total_of: Callable[[ExampleBatch], Tensor]) -> float | None:
        """The share of wrong answers on the held-out examples of the source languages."""
        return sum(float(total_of(batch)) for batch in self._dev) if self._dev else None

    def blocks(self) -> Sequence[nn.Module]:
        """The encoder's blocks."""
        return list(self.model.encoder.layers)

    def fingerprints(self) -> dict[str, str]:
        """Hashes of the examples and of the tokenizer."""
        return self._fingerprints


def _renumbered(data: D, languages: tuple[str, ...]) -> D:
    """The examples or pairs, with numbers of these languages."""
    import numpy as np

    number = np.array([languages.index(tag) for tag in data.languages], dtype=np.int64)
    return replace(data, language=number[data.language], languages=languages)
