"""A whole training run of any task, on one process or many: prepare, resume, train, finish."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection
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
from xformer.runs.kind import settle_task
from xformer.runs.lock import only_one
from xformer.runs.settings import Settings, settle_settings
from xformer.storage.toml import save_toml
from xformer.threads import SPIN_COUNT, set_wait_policy
from xformer.training.loop import Callback, Training, train
from xformer.training.memory import keep_freed_memory
from xformer.training.precision import Choice, MatrixPrecision
from xformer.training.precision_trial import settle_precision
from xformer.training.schedule import Span
from xformer.training.task import Task
from xformer.training.thread_choice import Threads, threads_in_use, threads_of
from xformer.training.trainer import Trainer

MakeCallback = Callable[[RunDirectory, Any, Progress], Callback | None]
"""Makes the callback of a run, whose data is prepared, from its settings; or returns None."""


@dataclass(frozen=True)
class Recipe(Generic[Settings]):
    """The functions that make a task from a run's settings.

    Attributes:
        name: of the task, which its runs record (`xformer.runs.kind`).
        task: makes the task of this process, with its model on the host.
        prepare: makes the data in the run's folder, and returns the settings with what follows from the data;
            called in one process, before `task`.
        finish: writes plots, model card and the like; called in one process, at the end.
        made: whether the run has its data and its tokenizer (see `settle_settings`).
        idle: names the settings that do nothing in training, beside the others (see `settle_settings`).
        resolve: the settings of a call, with what the run at hand has resolved already.
    """

    name: str
    task: Callable[[RunDirectory, Settings, OneProcess, Progress], Task[Any]]
    prepare: Callable[[RunDirectory, Settings, Progress], Settings] = lambda run, settings, progress: settings
    finish: Callable[[RunDirectory, Settings, Progress], None] = lambda run, settings, progress: None
    made: Callable[[RunDirectory], dict[str, bool]] = lambda run: {}
    idle: Callable[[Settings], Collection[str]] = lambda settings: ()
    resolve: Callable[[RunDirectory, Settings], Settings] = lambda run, settings: settings


def train_run(
    path: str | os.PathLike[str],
    settings: Settings,
    recipe: Recipe[Settings],
    progress: Progress,
    device: torch.device | None = None,
    make_callback: MakeCallback | None = None,
) -> bool:
    """Train the run at `path` to its end, from its newest checkpoint, if it has one.

    Args:
        path: a new folder, or one of an earlier call with the same settings. Length, checkpoint and log
            intervals, and the handling of spikes and of losses that are not finite, may change between calls.
        settings: settings of the run.
        recipe: makes its task.
        progress: where to report.
        device: for one process: by default a GPU if there is one.
        make_callback: makes a function that is called after each step, in a process with the whole model.

    Returns:
        Whether the run is complete; False after Ctrl-C.

    Raises:
        InputError: the settings or the data differ from the run's, another process trains it, or training
            failed. With many processes, one prints the error, and all raise `ReportedError`.
    """
    run = output = RunDirectory(Path(path))
    with ExitStack() as stack:
        processes = OneProcess(device or torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        if Launch.of_environment().world > 1:
            from xformer.distributed.processes import process_group

            processes = stack.enter_context(process_group())
            stack.enter_context(processes.report_once(progress.say))
        if not processes.is_first:
            # The others would print and log the same as process 0: their output is discarded.
            null = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            progress = stack.enter_context(Progress(Console(file=null)))
            output = RunDirectory(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            make_callback = None
        with processes.all_or_none():
            if processes.is_first:
                run.require_new_or_run()
                stack.enter_context(only_one(run.lock, str(run.path), progress.say))
                run.clear_leftovers()
                settle_task(run, recipe.name)
                settings = recipe.resolve(run, settings)
                settle_settings(run, settings, recipe.made(run), recipe.idle)
                settings = recipe.prepare(run, settings, progress)
                save_toml(run.config, settings)
        with processes.all_or_none():
            if not processes.is_first:  # what follows from the data was found by the first process
                settings = run.load_config(type(settings))
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
    """Make the task, load the newest checkpoint, train; whether the run is complete."""
    options, span = settings.training, Span.of(settings.training)
    sharded = processes.world > 1 and options.sharding == "full"
    keep_freed_memory()
    task = recipe.task(run, settings, processes, progress)
    checkpoint = newest_checkpoint(run.checkpoints, processes)
    state = TrainingState() if checkpoint is None else checkpoint.state
    if checkpoint is not None:
        with processes.all_or_none():
            _require_same_data(checkpoint, task)
        if span.over(state):
            progress.say(
                f"training: complete at step {state.step:,}, reusing {checkpoint.path}; --budget and --steps"
                " count from the run's beginning: longer ones go on"
            )
            if processes.is_first and not run.model_card.is_file():
                recipe.finish(run, settings, progress)
            return True
        progress.say(f"training: resuming from {checkpoint.path}: {span.account(state.step, state.elapsed)}")
    else:
        progress.say(f"training: {span.account(0, 0.0)}")
    threads = threads_of(options, processes.device, processes.world, state.threads)
    if not sharded:  # FSDP2 moves each process's part
        task.model.to(processes.device)
    trainer = make_trainer(task, processes, state.precision or "fp32", run, options)
    optimizer = task.optimizer()
    if state.precision is None:
        with threads_in_use(threads.chooser.numbers[-1]):
            choice = settle_precision(options.precision, trainer, optimizer, span, state)
        state = replace(state, precision=choice.precision, precision_trial=choice.seconds)
    else:
        choice = Choice(state.precision, "as the run began")
    if checkpoint is not None:
        with processes.all_or_none():
            checkpoint.load_model(task.model)
            checkpoint.load_optimizer(task.model, optimizer)
    if sharded and make_callback is not None:
        progress.say("panel: none, since no process holds the whole model (training.sharding)")
        make_callback = None
    callback = make_callback(run, settings, progress) if make_callback else None
    parameters = sum(p.numel() for p in task.model.parameters())
    progress.say(f"model: {parameters:,} parameters on {processes.device}")
    progress.say(f"precision: {choice}")
    _say_threads(threads, state, processes, options, progress)
    kept = threads.pinned if options.steps is not None and processes.world == 1 else None
    state = replace(state, threads=kept, fingerprints=dict(task.fingerprints()))
    training = Training(output, options, trainer, optimizer, callback, threads.chooser)
    state, interrupted = train(training, state, progress)
    if processes.is_first:
        recipe.finish(run, settings, progress)
    end = "interrupted and saved" if interrupted else "stopped early" if span.stopped_early(state) else "done"
    progress.say(
        f"training: {end} at step {state.step:,}, {duration(state.elapsed)}, {state.tokens:,} tokens"
    )
    best = best_checkpoint(run.checkpoints)
    if best is not None and best.state.step != state.step:
        progress.say(f"lowest loss on held-out texts was at step {best.state.step:,}: {best.path} is kept")
    return not interrupted


def _say_threads(
    threads: Threads,
    state: TrainingState,
    processes: OneProcess,
    options: TrainingConfig,
    progress: Progress,
) -> None:
    """Report the numbers of threads, and what may be unexpected about them."""
    if processes.device.type != "cpu":
        return
    progress.say(f"threads: {threads}")
    if options.steps is not None and state.threads not in (None, threads.pinned):
        progress.say(f"threads: were {state.threads} so far; this may change bits of the run")
    if threads.chooser.numbers[-1] > 1 and not set_wait_policy():
        progress.say(
            "threads: torch was imported before xformer could set how they wait, so training will be slow"
            f" beside other busy processes; set GOMP_SPINCOUNT={SPIN_COUNT} before Python starts"
        )


def make_trainer(
    task: Task[Any],
    processes: OneProcess,
    precision: MatrixPrecision,
    run: RunDirectory,
    options: TrainingConfig,
) -> Trainer:
    """The trainer of this process; make the optimizer afterwards, since FSDP2 replaces the parameters."""
    if processes.world == 1:
        return Trainer(task, processes, precision, run, options.evaluate_steps)
    from xformer.distributed.processes import Processes
    from xformer.training.distributed_trainer import DistributedTrainer

    assert isinstance(processes, Processes)
    return DistributedTrainer(
        task, processes, precision, run, options.sharding, options.seed, options.evaluate_steps
    )


def _require_same_data(checkpoint: Checkpoint, task: Task[Any]) -> None:
    """Check that the checkpoint was trained on the task's data."""
    for what, now in task.fingerprints().items():
        before = checkpoint.state.fingerprints.get(what, now)
        if before != now:
            raise InputError(
                f"{checkpoint.path}: was trained on another {what} ({before}) than this run's shards are now"
                f" made of ({now}). Put the {what} back, or start a new run"
            )
