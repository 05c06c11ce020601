"""`xformer pretrain`: prepare a corpus, train on it, and write loss plot and model card."""

from __future__ import annotations

import os

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.counts import count_tokens
from xformer.data.languages import counted
from xformer.distributed.one_process import OneProcess
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.init_from_counts import init_from_counts
from xformer.pretraining.load import open_tokenizer
from xformer.pretraining.prepare import open_shards, prepare
from xformer.pretraining.resolve import resolve_from_run
from xformer.pretraining.task import PretrainingTask, held_out_batch
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.effects import evaluation_only
from xformer.runs.kind import PRETRAINING
from xformer.runs.loss_plot import plot_losses
from xformer.runs.metrics import PRETRAINING_FIELDS, read_metrics
from xformer.runs.model_card import write_model_card
from xformer.training.run import MakeCallback, Recipe, train_run


def pretrain(
    path: str | os.PathLike[str],
    config: RunConfig,
    progress: Progress,
    device: torch.device | None = None,
    make_callback: MakeCallback | None = None,
) -> bool:
    """Pretrain the run at `path` to its end, from its newest checkpoint, if it has one.

    Arguments, result and errors are those of `xformer.training.run.train_run`.
    """
    recipe = Recipe(
        PRETRAINING,
        task=_task,
        prepare=prepare,
        finish=_finish,
        made=made_by,
        idle=evaluation_only,
        resolve=resolve_from_run,
    )
    return train_run(path, config, recipe, progress, device, make_callback)


def made_by(run: RunDirectory) -> dict[str, bool]:
    """Whether a run has its data and its tokenizer, after which some settings are settled."""
    return {"data": run.manifest.is_file() or run.corpus.is_dir(), "tokenizer": run.tokenizer.is_file()}


def _task(run: RunDirectory, config: RunConfig, processes: OneProcess, progress: Progress) -> PretrainingTask:
    """The task of one process, from the run's shards."""
    rank, world = processes.rank, processes.world
    with processes.all_or_none():
        tokenizer = open_tokenizer(run)
        shards, dev = (open_shards(run, split, tokenizer, rank, world) for split in ("train", "dev"))
        starts_word = tokenizer.starts_word()
    progress.say(
        f"data: {len(shards):,} texts, {int(np.sum(shards.n_tokens)):,} tokens,"
        f" {counted(len(shards.languages))}"
    )
    counts = processes.sum(torch.from_numpy(count_tokens(shards, rank=rank, world=world))).numpy()
    model = build_model(config, counts)
    with processes.all_or_none():
        return PretrainingTask(
            config,
            model,
            StepBatches(shards, config, starts_word, rank, world, counts),
            shards,
            held_out_batch(dev, config, starts_word),
            sparse_tables=world == 1 and processes.device.type == "cpu",
            gather_group=processes.gather_group,
        )


def _finish(run: RunDirectory, config: RunConfig, progress: Progress) -> None:
    """Draw the loss curves and write the model card."""
    if plot_losses(read_metrics(run.metrics, PRETRAINING_FIELDS), run.loss_plot) is None:
        progress.say("no loss plot: matplotlib (extra `plot`) is not installed, or there is nothing to draw")
    write_model_card(run)


def build_model(config: RunConfig, counts: NDArray[np.int64]) -> MultilingualModel:
    """A model with its first weights: random from the seed, and from the counts of the training split.

    Args:
        config: the run's settings.
        counts: (L, V) counts of each token in each language (`count_tokens`).
    """
    torch.manual_seed(config.training.seed)
    model = MultilingualModel(config.model, config.objectives.pooling)
    more = config.model.rows - counts.shape[1]  # rows than the tokenizer has pieces
    init_from_counts(model, np.pad(counts, ((0, 0), (0, more))))
    return model
