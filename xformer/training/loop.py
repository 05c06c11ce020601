"""The training loop: forward, backward, check and update, with the log and the checkpoints.

All that a step depends on is in `TrainingState` and in the checkpoint's tensors. In a run whose length is set
in steps, the clock decides only when checkpoints are written, and these change nothing in training. So such a
run ends with the same bits, however often it was stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from xformer.errors import InputError
from xformer.progress import Progress
from xformer.runs.checkpoint import CheckpointError, TrainingState
from xformer.runs.checkpoint_files import random_state, set_random_state
from xformer.runs.config import TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.held_folder import HeldFolder
from xformer.training.bad_step import save_bad_batch
from xformer.training.interrupts import interruptible
from xformer.training.memory import trim_memory
from xformer.training.meter import Meter, open_log, show
from xformer.training.optimizer import AdamWithTables, clip_gradients, set_learning_rates
from xformer.training.prefetch import Prefetcher
from xformer.training.saver import Saver
from xformer.training.schedule import Span
from xformer.training.spikes import SpikeDetector
from xformer.training.thread_choice import ThreadChooser, Threads, threads_in_use
from xformer.training.trainer import Trainer

Callback = Callable[[Any, TrainingState], Mapping[str, float] | None]
"""Called after each step with the model and the state of the run; it must change neither. It returns numbers
for the trackers, by name, or None."""


@dataclass(frozen=True)
class Training:
    """What `train` needs.

    Attributes:
        run: the folder of the log.
        options: length of training, log and checkpoints.
        trainer: computes gradients, and writes checkpoints.
        optimizer: over the model's parameters.
        callback: called after each step; its time is not counted as training time. None for no call.
        threads: chooses the number of CPU threads of each step; None for PyTorch's present number.
    """

    run: RunDirectory
    options: TrainingConfig
    trainer: Trainer
    optimizer: AdamWithTables
    callback: Callback | None = None
    threads: ThreadChooser | None = None


def train(
    training: Training,
    state: TrainingState,
    progress: Progress,
    on_checkpoint: Callable[[TrainingState], None] = lambda state: None,
) -> tuple[TrainingState, bool]:
    """Train from `state` to the end of the run's span.

    After Ctrl-C (or SIGTERM, or SIGHUP unless it is ignored) the present step ends and the run is saved; a
    second Ctrl-C ends it at once. The run is also saved if its output pipe is closed, or if a batch cannot be
    made. A checkpoint before the end that cannot be written is reported, and training goes on.

    Args:
        training: trainer, optimizer, settings and folder.
        state: the state of the run to start from.
        progress: where to report.
        on_checkpoint: called after each checkpoint is on disk.

    Returns:
        The state of the run, and whether it was interrupted before its end.

    Raises:
        InputError: a loss or gradient is not finite and the settings say to stop: the batch has been saved,
            and the weights from before it. Or the log, or the last checkpoint, cannot be written. Or the data
            was damaged meanwhile, in this process or another: the run is saved. Or the run's folder is
            missing: if it was moved, and this process trains alone, the run is saved at its new path.
        BrokenPipeError: the output pipe is closed; the run is saved.
    """
    options, trainer, optimizer = training.options, training.trainer, training.optimizer
    task, processes, span = trainer.task, trainer.processes, Span.of(options)
    threads = training.threads or Threads.fixed().chooser
    task.model.train()
    spikes = SpikeDetector(options.spike_factor, state.recent)
    now = saved = time.monotonic()
    meter = Meter(task.tally(state.tally), now, state.tokens)
    last_saved = state.step

    def snapshot() -> TrainingState:
        return replace(state, tally=meter.tally.state(), lines=log.lines, recent=spikes.recent)

    with (
        progress.delay_broken_pipe() as pipe_closed,
        open_log(training.run, options.trackers, state, processes.is_first, progress.say, optimizer) as log,
        HeldFolder(training.run.path) as folder,
        Prefetcher(task.batch) as batches,
        interruptible() as interrupted,
        threads_in_use() as use_threads,
    ):
        saver = Saver(trainer, optimizer, options.keep_checkpoints, folder, log, on_checkpoint)
        failure: InputError | None = None
        while not span.over(state):
            saver.require_folder(snapshot)
            rng = random_state() if options.non_finite == "stop" else {}
            start, stage = time.monotonic(), task.stage(state, span)
            try:
                batch = batches.take(state.step, stage.name)
            except InputError as error:
                failure = error
            # If one process has no batch, all stop before the step.
            if processes.any(failure is not None or interrupted() or pipe_closed()):
                break
            number = threads.next(stage.name)
            use_threads(number)
            set_learning_rates(optimizer, stage.lr_factors)
            optimizer.zero_grad(set_to_none=True)
            batch = trainer.complete(batch)
            sums = trainer.backward(batch, stage.name, state.step)
            norm = float(clip_gradients(optimizer, task.max_grad_norm))
            finite, spike = math.isfinite(sums.total) and math.isfinite(norm), None
            if stage.name != state.stage:
                spikes.forget()
            if not finite:
                if options.non_finite == "stop" and state.step > last_saved:
                    # Weights and random state are those from before the step.
                    set_random_state(rng)
                    try:
                        last_saved = saver.save(snapshot).step
                    except CheckpointError as error:
                        progress.say(str(error))
                progress.say(save_bad_batch(trainer, options, batch, state, sums, norm))
            elif spike := spikes.check(sums.total, norm):
                progress.say(f"step {state.step}: skipped, a spike: {spike}")
            else:
                optimizer.step()
                meter.tally.add(sums, batch, norm)
            now = time.monotonic()
            threads.record(stage.name, number, batch.n_tokens, now - start)
            # All processes must end the run, and write checkpoints, after the same step.
            elapsed, since_saved = processes.broadcast(state.elapsed + now - start, now - saved)
            state = replace(
                state,
                step=state.step + 1,
                elapsed=elapsed,
                tokens=state.tokens + batch.n_tokens,
                skipped=state.skipped + (not finite),
                skipped_in_a_row=0 if finite else state.skipped_in_a_row + 1,
                spikes=state.spikes + (spike is not None),
                data_digest=batch.digest(state.data_digest),
                stage=stage.name,
                stage_began=state.stage_began if stage.name == state.stage else (state.step, state.elapsed),
            )
            evaluated = finite and options.is_evaluated(state.step, span.progress(state.step, state.elapsed))
            evaluation = 0.0
            if evaluated:
                state = trainer.evaluate(state)
                evaluation = time.monotonic() - now
            done = span.over(state)
            if (done or meter.line_is_due(options, state, now)) and meter.tally.means():
                line = meter.line(state, stage, now, batches.waited, threads.present(stage.name))
                log.write(line)
                show(progress, span, line)
                trim_memory()
                meter = Meter(task.tally({}), now, state.tokens, batches.waited)
            meter.pause(evaluation)
            if training.callback is not None:
                before = time.monotonic()
                numbers = training.callback(task.model, state)
                if numbers is not None:
                    log.track(numbers, state.step)
                meter.pause(time.monotonic() - before)
            # No checkpoint after a step that is not finite: damaged weights would replace good ones.
            due = evaluated or since_saved >= options.checkpoint_every
            if due and not done and finite:
                try:
                    state = saver.save(snapshot)
                    last_saved = state.step
                except CheckpointError as error:
                    progress.say(f"{error}. Training goes on until the next checkpoint is due")
                saved = time.monotonic()
        if state.step > last_saved or not state.step:
            state = saver.save(snapshot)
        with processes.all_or_none():
            if failure is not None:
                raise InputError(f"{failure}. Training is saved at step {state.step:,}") from failure
        return state, not span.over(state)
