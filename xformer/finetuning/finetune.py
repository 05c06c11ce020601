"""One fine-tuning run, from its settings to its last checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from xformer.data.labelled import Example
from xformer.data.languages import counted
from xformer.distributed.launch import Launch
from xformer.distributed.one_process import OneProcess
from xformer.finetuning.base import begin_model
from xformer.finetuning.batches import Examples
from xformer.finetuning.calibrate import calibrate
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.kinds import inputs_of, kind_of
from xformer.finetuning.parallel import ParallelTexts, read_parallel
from xformer.finetuning.task import ClassificationTask
from xformer.pretraining.pretrained import open_text_tokenizer
from xformer.progress import Progress
from xformer.runs.copied_tokenizer import copy_tokenizer
from xformer.runs.directory import RunDirectory
from xformer.runs.kind import CLASSIFICATION
from xformer.tokenizer.interface import TextTokenizer
from xformer.training.run import MakeCallback, Recipe, train_run

E = TypeVar("E", bound=Example)


@dataclass(frozen=True)
class SourceExamples(Generic[E]):
    """What a run learns from and is chosen by: both in the source languages alone.

    Attributes:
        train: to learn from.
        dev: held out; checkpoints are compared by it.
    """

    train: Sequence[E]
    dev: Sequence[E]


def split_off(examples: Sequence[E], share: float) -> tuple[list[E], list[E]]:
    """Divide examples at random into those to learn from and a share that is held out, at least one."""
    held = max(1, round(share * len(examples)))
    order = np.random.default_rng(0).permutation(len(examples))
    chosen = set(order[:held].tolist())
    parts: tuple[list[E], list[E]] = ([], [])
    for place, one in enumerate(examples):
        parts[place in chosen].append(one)
    return parts


def finetune(
    path: str | os.PathLike[str],
    config: FinetuningConfig,
    examples: SourceExamples[Any],
    progress: Progress,
    device: torch.device | None = None,
    make_callback: MakeCallback | None = None,
    prepare: Callable[[RunDirectory], None] | None = None,
) -> bool:
    """Train the run at `path` to its end, from its newest checkpoint, if it has one; calibrate it at the end.

    Args:
        path: a new folder, or one of an earlier call with the same settings and examples.
        config: settings of the run.
        examples: with labels of the settings alone.
        progress: where to report.
        device: by default a GPU if there is one.
        make_callback: as for `train_run`.
        prepare: makes what else the run's folder is to have before training begins.

    Returns:
        Whether the run is complete; False after Ctrl-C.

    Raises:
        InputError: as `train_run`, and as `read_parallel`.
    """

    def make(run: RunDirectory, config: FinetuningConfig, progress: Progress) -> FinetuningConfig:
        copy_tokenizer(run, config.base.run)
        if prepare is not None:
            prepare(run)
        return config

    def task(
        run: RunDirectory, config: FinetuningConfig, processes: OneProcess, progress: Progress
    ) -> ClassificationTask:
        with processes.all_or_none():
            tokenizer = open_text_tokenizer(run)
            train, dev = (labelled(part, config, tokenizer) for part in (examples.train, examples.dev))
            parallel = _parallel(config, train, tokenizer, progress)
            model = begin_model(run, config)
        noun = kind_of(config.classifier.example).examples
        progress.say(
            f"data: {len(train):,} {noun}, {int(train.inputs.lengths.sum()):,} tokens,"
            f" {len(config.classifier.labels)} classes, {counted(len(train.languages))};"
            f" {len(dev):,} {noun} are held out"
        )
        if parallel is not None:
            progress.say(
                f"translations without labels: {len(parallel):,}, in {counted(len(parallel.languages))}"
            )
        return ClassificationTask(
            config,
            model,
            train,
            dev,
            tokenizer.fingerprint(),
            parallel,
            rank=processes.rank,
            world=processes.world,
            sparse_tables=processes.world == 1 and processes.device.type == "cpu",
        )

    recipe = Recipe(CLASSIFICATION, task=task, prepare=make, made=_made_by)
    complete = train_run(path, config, recipe, progress, device, make_callback)
    if complete and Launch.of_environment().rank == 0:
        calibrate(
            RunDirectory(Path(path)), lambda config, it: labelled(examples.dev, config, it), progress, device
        )
    return complete


def _parallel(
    config: FinetuningConfig, train: Examples, tokenizer: TextTokenizer, progress: Progress
) -> ParallelTexts | None:
    corpus = config.consistency.corpus
    if corpus is None:
        return None
    return read_parallel(
        corpus, train.languages, tokenizer, config.consistency, config.base.max_length, progress
    )


def labelled(examples: Sequence[Example], config: FinetuningConfig, tokenizer: TextTokenizer) -> Examples:
    """Examples as token ids and their labels as numbers, as the settings say."""
    inputs = inputs_of([one.content for one in examples], config, tokenizer)
    return Examples.of(examples, inputs, config.classifier.labels, config.classifier.multi_label)


def _made_by(run: RunDirectory) -> dict[str, bool]:
    return {"data": False, "tokenizer": run.tokenizer.is_file() or run.tokenizer_folder.is_dir()}
