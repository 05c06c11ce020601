"""Wall-clock that stands still while a model is examined, and the memory that training takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from xformer.pretraining.forecast.machine import PeakMemory

from .flops import wait_for
from .quality import Quality
from .result import Point


@dataclass(frozen=True)
class Work:
    """What a step did: tokens of text, and useful floating-point operations of matrix products."""

    tokens: int
    flops: float


@dataclass(frozen=True)
class Timed:
    """A training by the clock.

    Attributes:
        points: what was known when; the first before the first step.
        seconds: on the clock.
        work: of all steps together.
        steps: how many.
        peak_bytes: largest memory of the process while it trained.
    """

    points: tuple[Point, ...]
    seconds: float
    work: Work
    steps: int
    peak_bytes: int


class PeakOfStretches:
    """The largest memory in use over stretches of a process's life; 0 where the system does not tell.

    Attributes:
        bytes: so far.
    """

    def __init__(self, device: torch.device) -> None:
        """Of what a device holds: a GPU's memory, or the process's."""
        self.bytes = 0
        self._device = device
        self._now: PeakMemory | None = None

    def start(self) -> None:
        """Begin a stretch that counts."""
        self._now = PeakMemory(self._device)

    def stop(self) -> None:
        """End it."""
        if self._now is not None:
            self.bytes = max(self.bytes, self._now.read() or 0)


def train_by_the_clock(
    step: Callable[[float], Work],
    examine: Callable[[], Quality],
    budget: float,
    marks: int,
    device: torch.device,
    setup: float = 0.0,
) -> Timed:
    """Take steps until the time is over, and look at the model before, now and then, and at the end.

    Args:
        step: takes one, given the share of the time that is over.
        examine: says what the model knows.
        budget: seconds for all steps.
        marks: how many times to look after the start, evenly spaced.
        device: where steps are computed; the clock runs until one is done there.
        setup: seconds that replaced training, before the first look.
    """
    memory = PeakOfStretches(device)
    elapsed, tokens, flops, steps = 0.0, 0, 0.0, 0
    points = [Point.of(setup, 0, examine())]
    for mark in range(1, marks + 1):
        memory.start()
        while elapsed < budget * mark / marks:
            began = time.perf_counter()
            work = step(elapsed / budget)
            wait_for(device)
            elapsed += time.perf_counter() - began
            tokens, flops, steps = tokens + work.tokens, flops + work.flops, steps + 1
        memory.stop()
        points.append(Point.of(setup + elapsed, tokens, examine()))
    return Timed(tuple(points), setup + elapsed, Work(tokens, flops), steps, memory.bytes)
