"""A few steps of one stage of training, timed: the training loop itself, in a folder that is removed."""

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

ENOUGH = 10
"""Steps that are run, however long they take."""

_LINES = 6
"""Of the log, in the time that a stage is given, about."""


@dataclass(frozen=True)
class Measured:
    """A few steps of a stage.

    Attributes:
        steps: how many were timed.
        seconds_per_step: of training.
        checkpoint_seconds: to measure the loss on held-out texts and write a checkpoint.
        checkpoint_bytes: of one.
        processor_seconds: of all threads, while the steps were run.
        wall_seconds: by the clock, for the same.
    """

    steps: int
    seconds_per_step: float
    checkpoint_seconds: float
    checkpoint_bytes: int
    processor_seconds: float
    wall_seconds: float


def for_measuring(config: RunConfig, stage: str, seconds: float) -> RunConfig:
    """The same run, but so short, of one stage alone.

    A line of the log also gives memory back, after which steps are slow for a while: so there are few.
    """
    options = replace(
        config.training,
        budget=f"{seconds:g}",
        steps=None,
        bag_share=1.0 if stage == EMBEDDING_WARMUP else 0.0,
        checkpoint_every=1e9,
        log_every=seconds / _LINES,
        log_steps=1,
        trackers=(),
    )
    return replace(config, training=options)


def measure(training: Training) -> Measured:
    """Run the loop; what a step takes in the second half of it, and what a checkpoint takes.

    Early steps are slower: memory is touched for the first time, and in half precision on a CPU products are
    compiled for each shape that has not come yet.
    """
    clock = _Clock()
    processor, wall = time.process_time(), time.monotonic()
    state, interrupted = train(training, TrainingState(), clock, clock.saved)
    if not interrupted and state.step < ENOUGH:
        options = replace(training.options, budget=None, steps=ENOUGH)
        state, interrupted = train(replace(training, options=options), state, clock, clock.saved)
    if interrupted:
        raise KeyboardInterrupt
    *before, last = read_metrics(training.run.metrics)
    earlier = [line for line in before if 2 * line["step"] <= last["step"]]
    begin = earlier[-1] if earlier else {"step": 0, "elapsed": 0.0}
    counted = last["step"] - begin["step"]
    newest = checkpoint_folders(training.run.checkpoints)[0]
    return Measured(
        steps=counted,
        seconds_per_step=(last["elapsed"] - begin["elapsed"]) / counted,
        checkpoint_seconds=clock.checkpoint_seconds,
        checkpoint_bytes=sum(path.stat().st_size for path in newest.iterdir()),
        processor_seconds=time.process_time() - processor,
        wall_seconds=time.monotonic() - wall,
    )


class _Clock(Progress):
    """Shows nothing, and notes when steps and checkpoints end."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()))
        self._last = time.monotonic()
        self.checkpoint_seconds = 0.0

    def __call__(self, what: str, done: int, total: int | None, note: str = "", **how: bool) -> None:
        self._last = time.monotonic()

    def saved(self, state: TrainingState) -> None:
        self.checkpoint_seconds = time.monotonic() - self._last
