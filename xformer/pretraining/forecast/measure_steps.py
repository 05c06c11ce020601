"""Timing of a few steps of one stage, in the training loop itself."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, replace

from rich.console import Console

from xformer.pretraining.stages import EMBEDDING_WARMUP
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.config import RunConfig
from xformer.runs.metrics import read_metrics
from xformer.training.loop import Training, train

MIN_STEPS = 10
"""Least number of steps that are run."""

_LOG_LINES = 6
"""Lines of the log while a stage is measured, about."""


@dataclass(frozen=True)
class MeasuredSteps:
    """The times of a few steps.

    Attributes:
        steps: number of steps that were timed.
        seconds_per_step: of training.
        checkpoint_seconds: to measure the loss on held-out texts and write a checkpoint.
        checkpoint_bytes: of one checkpoint.
        processor_seconds: of all threads, while all steps were run.
        wall_seconds: wall-clock time of all steps.
    """

    steps: int
    seconds_per_step: float
    checkpoint_seconds: float
    checkpoint_bytes: int
    processor_seconds: float
    wall_seconds: float


def short_run(config: RunConfig, stage: str, seconds: float) -> RunConfig:
    """The settings of a run of `seconds` that has one stage only.

    It has few lines in the log: the loop frees memory at each, and the steps after it are slow.
    """
    options = replace(
        config.training,
        budget=f"{seconds:g}",
        steps=None,
        checkpoint_every=1e9,
        log_every=seconds / _LOG_LINES,
        log_steps=1,
        trackers=(),
    )
    share = 1.0 if stage == EMBEDDING_WARMUP else 0.0
    objectives = replace(config.objectives, embedding_warmup_share=share)
    return replace(config, training=options, objectives=objectives)


def measure(training: Training) -> MeasuredSteps:
    """Run the loop, and time the steps of its second half and its checkpoint.

    Early steps are slower: memory is used for the first time, and in half precision on a CPU, products are
    compiled for each new shape.
    """
    clock = _Clock()
    processor, wall = time.process_time(), time.monotonic()
    state, interrupted = train(training, TrainingState(), clock, clock.saved)
    if not interrupted and state.step < MIN_STEPS:
        options = replace(training.options, budget=None, steps=MIN_STEPS)
        state, interrupted = train(replace(training, options=options), state, clock, clock.saved)
    if interrupted:
        raise KeyboardInterrupt
    *before, last = read_metrics(training.run.metrics)
    earlier = [line for line in before if 2 * line["step"] <= last["step"]]
    begin = earlier[-1] if earlier else {"step": 0, "elapsed": 0.0}
    counted = last["step"] - begin["step"]
    newest = checkpoint_folders(training.run.checkpoints)[0]
    return MeasuredSteps(
        steps=counted,
        seconds_per_step=(last["elapsed"] - begin["elapsed"]) / counted,
        checkpoint_seconds=clock.checkpoint_seconds,
        checkpoint_bytes=sum(path.stat().st_size for path in newest.iterdir()),
        processor_seconds=time.process_time() - processor,
        wall_seconds=time.monotonic() - wall,
    )


class _Clock(Progress):
    """Records when steps and checkpoints end, and shows nothing."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()))
        self._last = time.monotonic()
        self.checkpoint_seconds = 0.0

    def __call__(self, what: str, done: int, total: int | None, note: str = "", **how: bool) -> None:
        self._last = time.monotonic()

    def saved(self, state: TrainingState) -> None:
        self.checkpoint_seconds = time.monotonic() - self._last
