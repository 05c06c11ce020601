"""A run from its settings to its last checkpoint, on one process or many, for any task."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

import torch
from rich.console import Console

from xformer.distributed.launch import Launch
from xformer.distributed.one_process import OneProcess
from xformer.errors import InputError
from xformer.progress import Progress, duration
from xformer.runs.checkpoint import Checkpoint, TrainingState, best_checkpoint, newest_checkpoint
from xformer.runs.config import TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.lock import only_one
from xformer.runs.settings import Settings, settle_settings
from xformer.training.loop import Callback, Training, train
from xformer.training.memory import keep_freed_memory
from xformer.training.precision import MatrixPrecision, choose_precision
from xformer.training.schedule import Span
from xformer.training.task import Task
from xformer.training.trainer import Trainer

MakeCallback = Callable[[RunDirectory, Any, Progress], Callback | None]
"""Makes the callback of a run that is prepared, from its settings; or none."""


@dataclass(frozen=True)
class Recipe(Generic[Settings]):
    """How a run's settings become a task.

    Attributes:
        task: makes the task of this process, its model on the host.
        prepare: makes what is learned from, in the run's folder; called in one process, before `task`.
        finish: writes what a run leaves behind beside its checkpoints; called in one process, at the end.
        made: tables of the settings by which something was made already, so that they cannot change.
    """

    task: Callable[[RunDirectory, Settings, OneProcess, Progress], Task[Any]]
    prepare: Callable[[RunDirectory, Settings, Progress], object] = lambda run, settings, progress: None
    finish: Callable[[RunDirectory, Settings, Progress], None] = lambda run, settings, progress: None
    made: Callable[[RunDirectory], dict[str, bool]] = lambda run: {}


def train_run(
    path: str | os.PathLike[str],
    settings: Settings,
    recipe: Recipe[Settings],
    progress: Progress,
    device: torch.device | None = None,
    make_callback: MakeCallback | None = None,
) -> bool:
    """Train the run at `path` to the end of its span, from wherever it is.

    Args:
        path: a new folder, or one of an earlier call with the same settings. Length, checkpoint and log
            intervals, and what is done about spikes and losses that are not finite, may change between calls.
        settings: of the run.
        recipe: makes its task.
        progress: where to show what happens.
        device: left out, a GPU if there is one.
        make_callback: makes what is called after each step, in a process that holds the whole model.

    Returns:
        Whether the run is complete; False after Ctrl-C.

    Raises:
        InputError: the settings or the data do not fit the run, another process is training it, or training
            cannot go on. Of many processes one says so, and it is a `ReportedError` in all of them.
    """
    run = RunDirectory(Path(path))
    if Launch.of_environment().world > 1:
        return _train_together(run, settings, recipe, progress, make_callback)
    run.require_new_or_run()
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with only_one(run.lock, str(run.path), progress.say):
        run.clear_leftovers()
        settle_settings(run, settings, recipe.made(run))
        recipe.prepare(run, settings, progress)
        return _train(run, run, settings, recipe, progress, OneProcess(device), make_callback)


def _train_together(
    run: RunDirectory,
    settings: Settings,
    recipe: Recipe[Settings],
    progress: Progress,
    make_callback: MakeCallback | None,
) -> bool:
    """The part of one process among many. The first prepares, writes and speaks; all read its files."""
    from xformer.distributed.processes import together

    with together() as processes, processes.one_says_why(progress.say), ExitStack() as stack:
        output = run
        if not processes.is_first:
            # What the others would write is the same as what the first writes: it is thrown away.
            silence = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            progress = stack.enter_context(Progress(Console(file=silence)))
            output = RunDirectory(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            make_callback = None
        with processes.all_or_none():
            if processes.is_first:
                run.require_new_or_run()
                stack.enter_context(only_one(run.lock, str(run.path), progress.say))
                run.clear_leftovers()
                settle_settings(run, settings, recipe.made(run))
                recipe.prepare(run, settings, progress)
        return _train(run, output, settings, recipe, progress, processes, make_callback)


def _train(
    run: RunDirectory,
    output: RunDirectory,
    settings: Settings,
    recipe: Recipe[Settings],
    progress: Progress,
    processes: OneProcess,
    make_callback: MakeCallback | None,
) -> bool:
    """Build, resume, train; whether the run is complete."""
    options, many = settings.training, processes.world > 1
    sharded = many and options.sharding == "full"
    keep_freed_memory()
    task = recipe.task(run, settings, processes, progress)
    checkpoint = newest_checkpoint(run.checkpoints, processes if many else None)
    state = TrainingState() if checkpoint is None else checkpoint.state
    if checkpoint is not None:
        with processes.all_or_none():
            _require_same_data(checkpoint, task)
        if Span.of(options).progress(state.step, state.elapsed) >= 1.0:
            progress.say(f"training: complete at step {state.step:,}, reusing {checkpoint.path}")
            if processes.is_first and not run.model_card.is_file():
                recipe.finish(run, settings, progress)
            return True
        progress.say(f"training: resuming from {checkpoint.path}, {duration(state.elapsed)} in")
    precision = state.precision or choose_precision(options.precision, processes.device, task.width)
    # What another process measured may differ.
    precision = "bf16" if processes.agree(precision == "bf16")[0] else "fp32"
    if not sharded:  # else each process moves its part, once it has it
        task.model.to(processes.device)
    trainer = make_trainer(task, processes, precision, run, options)
    optimizer = task.optimizer()
    if checkpoint is not None:
        with processes.all_or_none():
            checkpoint.load_model(task.model)
            checkpoint.load_optimizer(task.model, optimizer)
    if sharded and make_callback is not None:
        progress.say("panel: none, since it needs a process that holds the whole model (training.sharding)")
        make_callback = None
    training = Training(
        run=output,
        options=options,
        trainer=trainer,
        optimizer=optimizer,
        callback=make_callback(run, settings, progress) if make_callback else None,
    )
    parameters = sum(p.numel() for p in task.model.parameters())
    progress.say(f"model: {parameters:,} parameters, {precision} on {processes.device}")
    state = replace(state, precision=precision, fingerprints=dict(task.fingerprints()))
    state, interrupted = train(training, state, progress)
    if processes.is_first:
        recipe.finish(run, settings, progress)
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


def make_trainer(
    task: Task[Any],
    processes: OneProcess,
    precision: MatrixPrecision,
    run: RunDirectory,
    options: TrainingConfig,
) -> Trainer:
    """The trainer of this process, alone or one of many; make the optimizer after it."""
    if processes.world == 1:
        return Trainer(task, processes, precision, run)
    from xformer.distributed.processes import Processes
    from xformer.training.distributed_trainer import DistributedTrainer

    assert isinstance(processes, Processes)
    return DistributedTrainer(task, processes, precision, run, options.sharding, options.seed)


def _require_same_data(checkpoint: Checkpoint, task: Task[Any]) -> None:
    """Refuse to go on with weights that were learned from other data than the task has now."""
    for what, now in task.fingerprints().items():
        before = checkpoint.state.fingerprints.get(what, now)
        if before != now:
            raise InputError(
                f"{checkpoint.path}: was trained on another {what} ({before}) than this run's shards are now"
                f" made of ({now}). Put the {what} back, or start a new run"
            )
