"""`xformer pretrain`: prepare, build, resume, train, and leave a run directory that explains itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from xformer.data.counts import count_tokens
from xformer.data.shards import TokenShards
from xformer.distributed.launch import Launch
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.held_out import HeldOut
from xformer.pretraining.init_from_counts import start_from_counts
from xformer.pretraining.prepare import open_shards, open_tokenizer, prepare
from xformer.progress import Progress, duration
from xformer.runs.checkpoint import Checkpoint, TrainingState, best_checkpoint, newest_checkpoint
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.lock import only_one
from xformer.runs.loss_plot import plot_losses
from xformer.runs.metrics import FIELDS, read_metrics
from xformer.runs.model_card import write_model_card
from xformer.storage.toml import save_toml
from xformer.training.loop import Training, Watch, train
from xformer.training.memory import keep_freed_memory
from xformer.training.optimizer import make_optimizer
from xformer.training.precision import choose_precision
from xformer.training.schedule import Span

if TYPE_CHECKING:
    from xformer.distributed.processes import Processes

_MAY_CHANGE = (
    "budget",
    "steps",
    "sharding",
    "checkpoint_every",
    "keep",
    "log_every",
    "log_steps",
    "spike_factor",
    "non_finite",
    "panel_every",
    "trackers",
)

Watching = Callable[[RunDirectory, RunConfig, Progress], Watch | None]
"""Makes a watch over a run that is prepared, or none."""


def pretrain(
    path: str | os.PathLike[str],
    config: RunConfig,
    progress: Progress,
    device: torch.device | None = None,
    watching: Watching | None = None,
) -> bool:
    """Train the run at `path` to the end of its span, from wherever it is.

    Args:
        path: a new folder, or one of an earlier call with the same settings. Length, checkpoint and log
            intervals, and what is done about spikes and losses that are not finite, may change between calls.
        config: the settings.
        progress: where to show what happens.
        device: left out, a GPU if there is one.
        watching: makes what is called after each step of a process that trains alone.

    Returns:
        Whether the run is complete; False after Ctrl-C.

    Raises:
        InputError: the settings or the data do not fit the run, another process is training it, or training
            cannot go on. Of many processes one says so, and it is a `SaidError` in all of them.
    """
    run = RunDirectory(Path(path))
    if Launch.of_environment().world > 1:
        from xformer.distributed.processes import together

        with together() as processes, processes.one_says_why(progress.say):
            return _pretrain_together(run, config, progress, processes, watching)
    _require_run(run)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with only_one(run.lock, str(run.path), progress.say):
        run.clear_leftovers()
        _settle_config(run, config)
        return _pretrain(run, config, progress, device, watching=watching)


def _pretrain_together(
    run: RunDirectory,
    config: RunConfig,
    progress: Progress,
    processes: Processes,
    watching: Watching | None,
) -> bool:
    """The part of one process among many. The first prepares, writes and speaks; all read its files."""
    with ExitStack() as stack:
        if not processes.is_first:
            # What the others would write is the same, and goes where nobody looks.
            silence = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            progress = stack.enter_context(Progress(Console(file=silence)))
            watching = None
        own = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with processes.all_or_none():
            if processes.is_first:
                _require_run(run)
                stack.enter_context(only_one(run.lock, str(run.path), progress.say))
                run.clear_leftovers()
                _settle_config(run, config)
                prepare(run, config, progress)
        output = run if processes.is_first else RunDirectory(own)
        return _pretrain(run, config, progress, processes.device, processes, output, watching)


def _pretrain(
    run: RunDirectory,
    config: RunConfig,
    progress: Progress,
    device: torch.device,
    processes: Processes | None = None,
    output: RunDirectory | None = None,
    watching: Watching | None = None,
) -> bool:
    """Prepare, build, resume, train; whether the run is complete."""
    writes = processes is None or processes.is_first
    rank, world = (0, 1) if processes is None else (processes.rank, processes.world)
    # Where one process cannot go on, none does.
    all_or_none = nullcontext if processes is None else processes.all_or_none
    keep_freed_memory()
    with all_or_none():
        # Of many processes the first has prepared it.
        tokenizer = prepare(run, config, progress) if processes is None else open_tokenizer(run)
        shards = open_shards(run, "train", tokenizer, rank, world)
    progress.say(
        f"data: {len(shards):,} texts, {int(np.sum(shards.n_tokens)):,} tokens,"
        f" {len(shards.languages)} languages"
    )
    counts = count_tokens(shards, rank=rank, world=world)
    if processes is not None:
        counts = processes.sum(torch.from_numpy(counts)).numpy()
    model, team = build_model(config, counts), None
    sharded = processes is not None and config.training.sharding == "full"
    if not sharded:  # else each process moves its part, once it has it
        model.to(device)
    if processes is not None:
        from xformer.training.distributed_trainer import Team

        team = Team(processes, model, config, run)
    optimizer = make_optimizer(model, config.optimizer)
    checkpoint = newest_checkpoint(run.checkpoints, processes)
    state = TrainingState()
    if checkpoint is not None:
        state = checkpoint.state
        with all_or_none():
            _require_same_data(checkpoint, shards)
            checkpoint.load_model(model)
            checkpoint.load_optimizer(model, optimizer)
        if Span.of(config.training).progress(state.step, state.elapsed) >= 1.0:
            progress.say(f"training: complete at step {state.step:,}, reusing {checkpoint.path}")
            if writes and not run.model_card.is_file():
                _describe(run, progress)
            return True
        progress.say(f"training: resuming from {checkpoint.path}, {duration(state.elapsed)} in")
    precision = state.precision or choose_precision(config.training.precision, device, config.model.d_model)
    if processes is not None:
        precision = "bf16" if processes.agree(precision == "bf16")[0] else "fp32"
    with all_or_none():
        dev = open_shards(run, "dev", tokenizer, rank, world)
        held_out = HeldOut.of(dev, config, tokenizer.starts_word(), precision)
    if sharded and watching is not None:
        progress.say("panel: none, since it needs a process that holds the whole model (training.sharding)")
        watching = None

    def held_out_loss(model: MultilingualModel, n_layers: int | None) -> float | None:
        if held_out is None:
            return None
        return held_out.loss_of_team(team, n_layers) if team and sharded else held_out.loss(model, n_layers)

    training = Training(
        run=output or run,
        config=config,
        model=model,
        optimizer=optimizer,
        batches=StepBatches(shards, config, tokenizer.starts_word(), rank, world, counts),
        shards=shards,
        precision=precision,
        held_out=held_out_loss,
        watch=watching(run, config, progress) if watching else None,
        team=team,
    )
    parameters = sum(p.numel() for p in model.parameters())
    progress.say(f"model: {parameters:,} parameters, {precision} on {device}")
    state = replace(
        state, precision=precision, text=shards.info.split_sha256, tokenizer=shards.info.tokenizer
    )
    state, interrupted = train(training, state, progress)
    if writes:
        _describe(run, progress)
    said = "interrupted and saved" if interrupted else "done"
    progress.say(
        f"training: {said} at step {state.step:,}, {duration(state.elapsed)}, {state.tokens:,} tokens"
    )
    best = best_checkpoint(run.checkpoints)
    if best is not None and best.state.step != state.step:
        progress.say(
            f"the lowest loss on held-out texts was at step {best.state.step:,}: {best.path} is kept"
        )
    return not interrupted


def _require_run(run: RunDirectory) -> None:
    """Refuse a folder of something else."""
    if run.path.exists() and not run.path.is_dir():
        raise InputError(f"{run.path}: expected the folder of a run, or a new name, found a file")
    if not run.config.is_file() and not run.is_new():
        raise InputError(f"{run.path}: expected a run or an empty folder, found other files")


def _require_same_data(checkpoint: Checkpoint, shards: TokenShards) -> None:
    """Refuse to go on with weights that were learned from something else than these shards."""
    found = {"text": shards.info.split_sha256, "tokenizer": shards.info.tokenizer}
    for what, now in found.items():
        before = getattr(checkpoint.state, what)
        if before is not None and before != now:
            raise InputError(
                f"{checkpoint.path}: was trained on another {what} ({before}) than this run's shards are now"
                f" made of ({now}). Put the {what} back, or start a new run"
            )


def _describe(run: RunDirectory, progress: Progress) -> None:
    """Draw the loss curves and write the model card."""
    if plot_losses(read_metrics(run.metrics, FIELDS), run.loss_plot) is None:
        progress.say("no loss plot: matplotlib (extra `plot`) is not installed, or there is nothing to draw")
    write_model_card(run)


def build_model(config: RunConfig, counts: NDArray[np.int64]) -> MultilingualModel:
    """A model with its first weights: seeded, and what can be counted in the training split.

    Args:
        config: the run's settings.
        counts: (L, V) how often each token occurs in each language (`count_tokens`).
    """
    torch.manual_seed(config.training.seed)
    model = MultilingualModel(config.model, config.objectives.pooling)
    rows = config.model.vocab_size - counts.shape[1]  # beyond the tokenizer's pieces
    start_from_counts(model, np.pad(counts, ((0, 0), (0, rows))))
    return model


def load_run(
    path: str | os.PathLike[str],
) -> tuple[RunDirectory, RunConfig, MultilingualModel, TrainingState]:
    """The newest weights of a run, ready to evaluate.

    Raises:
        InputError: there is no run, or no whole checkpoint in it.
    """
    run = RunDirectory.open(path)
    config = run.load_config()
    checkpoint = newest_checkpoint(run.checkpoints)
    if checkpoint is None:
        raise InputError(f"{run.checkpoints}: expected a checkpoint, found none; train the run first")
    model = MultilingualModel(config.model, config.objectives.pooling)
    checkpoint.load_model(model)
    return run, config, model.eval(), checkpoint.state


def _settle_config(run: RunDirectory, config: RunConfig) -> None:
    """Write the settings of a new run; compare them with those of an old one."""
    if run.config.is_file():
        # Settings bind once something was made with them: a first call that failed needs no new folder.
        binds = {"data": run.manifest.is_file() or run.corpus.is_dir(), "tokenizer": run.tokenizer.is_file()}
        trained = bool(checkpoint_folders(run.checkpoints))
        old = run.load_config()
        kept = replace(config.training, **{name: getattr(old.training, name) for name in _MAY_CHANGE})
        changed = [
            difference
            for difference in _differences(old, replace(config, training=kept))
            if binds.get(difference.partition(".")[0], trained)
        ]
        if changed:
            raise InputError(
                f"{run.config}: this run began with other settings: {'; '.join(changed)}. Give the same, or"
                " another run directory"
            )
    save_toml(run.config, config)


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    found = []
    for item in fields(old):
        before, now = getattr(old, item.name), getattr(new, item.name)
        if hasattr(before, "__dataclass_fields__"):
            found += _differences(before, now, f"{prefix}{item.name}.")
        elif before != now:
            found.append(f"{prefix}{item.name} was {before!r}, not {now!r}")
    return found
