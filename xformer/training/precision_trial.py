"""Trial of both precisions with a step of the run itself, which leaves no trace in the run."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

from xformer.runs.checkpoint import TrainingState
from xformer.runs.checkpoint_files import random_state, set_random_state
from xformer.runs.config import Precision
from xformer.training.optimizer import AdamWithTables
from xformer.training.precision import Choice, MatrixPrecision, choose_precision
from xformer.training.schedule import Span
from xformer.training.trainer import Trainer


def settle_precision(
    asked: Precision,
    trainer: Trainer,
    optimizer: AdamWithTables,
    span: Span,
    state: TrainingState | None = None,
) -> Choice:
    """Choose the precision, and set it in the trainer.

    A trial is the forward and backward pass of the run's next batch, as a step of the last stage: there most
    of the time is spent. All trials have the same batch. Weights, buffers, random state, optimizer and the
    order of the data stay as they are.

    Args:
        asked: `training.precision`.
        trainer: of the run. Of many processes, all call this and take the choice of process 0.
        optimizer: clears the gradients of the trials.
        span: the length of the run.
        state: the state of the run; None at its start.
    """
    state, processes = state or TrainingState(), trainer.processes
    rng, model = random_state(), trainer.task.model
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    training = model.training
    model.train()
    trial = partial(_seconds, trainer, optimizer, _last_stage(trainer, span, state), state.step)
    try:
        choice = choose_precision(asked, processes.device, trial, processes.any)
    finally:
        model.train(training)
        optimizer.zero_grad(set_to_none=True)
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
        set_random_state(rng)
    # Measurements of other processes may differ.
    trainer.precision = "bf16" if processes.broadcast(choice.precision == "bf16")[0] else "fp32"
    return replace(choice, precision=trainer.precision)


def _last_stage(trainer: Trainer, span: Span, state: TrainingState) -> str:
    """The name of the stage in which the run ends."""
    if span.steps is not None:
        end = replace(state, step=max(state.step, span.steps - 1))
    else:
        end = replace(state, elapsed=max(state.elapsed, 0.999 * (span.budget or 0.0)))
    return trainer.task.stage(end, span).name


def _seconds(
    trainer: Trainer, optimizer: AdamWithTables, stage: str, step: int, precision: MatrixPrecision
) -> float:
    """Seconds of a forward and backward pass."""
    batch: Any = trainer.complete(trainer.task.batch(step, stage))
    optimizer.zero_grad(set_to_none=True)
    trainer.precision = precision
    began = time.perf_counter()
    trainer.backward(batch, stage, step)  # its sums are numbers on the host, so a device has ended the work
    return time.perf_counter() - began
