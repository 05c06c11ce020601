"""What training takes: time, memory, and arithmetic beside the rate of a large matrix product.

Shapes: T tokens, S hidden tokens, C d_model, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from xformer.pretraining.forecast.machine import PeakMemory

from .quality import Quality
from .result import Point


@dataclass(frozen=True)
class Work:
    """The work of a step: tokens of text, and useful floating-point operations of matrix products."""

    tokens: int
    flops: float


@dataclass(frozen=True)
class Timed:
    """A training run with a time limit.

    Attributes:
        points: the evaluations; the first is before the first step.
        seconds: of training.
        work: of all steps together.
        steps: number of steps.
        peak_bytes: largest memory of the process while it trained; 0 where the system does not tell.
    """

    points: tuple[Point, ...]
    seconds: float
    work: Work
    steps: int
    peak_bytes: int


def train_by_the_clock(
    step: Callable[[float], Work],
    examine: Callable[[], Quality],
    budget: float,
    marks: int,
    device: torch.device,
    setup: float = 0.0,
) -> Timed:
    """Take steps until the time is over. Evaluate the model before, several times in between, and at the end.

    Args:
        step: takes a step, given the share of the time that is over.
        examine: evaluates the model; the clock is stopped meanwhile.
        budget: seconds for all steps.
        marks: number of evaluations after the first, evenly spaced in time.
        device: where steps are computed; a step ends when the device has computed it.
        setup: seconds of preparation that replaced training, before the first evaluation.
    """
    peaks: list[int] = []
    elapsed, tokens, flops, steps = 0.0, 0, 0.0, 0
    points = [Point.of(setup, 0, examine())]
    for mark in range(1, marks + 1):
        memory = PeakMemory(device)
        while elapsed < budget * mark / marks:
            began = time.perf_counter()
            work = step(elapsed / budget)
            wait_for(device)
            elapsed += time.perf_counter() - began
            tokens, flops, steps = tokens + work.tokens, flops + work.flops, steps + 1
        peaks.append(memory.read() or 0)
        points.append(Point.of(setup + elapsed, tokens, examine()))
    return Timed(tuple(points), setup + elapsed, Work(tokens, flops), steps, max(peaks))


TRAINING = 3
"""Products of a training step for each one forward: backward takes two more."""


@dataclass(frozen=True)
class Cost:
    """Operations of matrix products, forward. A product of (M, K) and (K, N) has 2MKN.

    Attributes:
        token: of one token in all blocks' weights.
        pair: of one query with one key, in all layers together: scores, and the mean of values.
        hidden: of one hidden token in the output layer.
    """

    token: float
    pair: float
    hidden: float

    @classmethod
    def of(cls, blocks: Iterable[nn.Module], head: nn.Module | None, d_model: int, vocabulary: int) -> Cost:
        """Count a model's weights.

        Args:
            blocks: every layer; each attends with width `d_model`.
            head: what stands before the decoder, which is tied or among its weights; None without an output.
            d_model: C.
            vocabulary: V.
        """
        blocks = list(blocks)
        token = 2.0 * sum(_matrices(block) for block in blocks)
        decoder = vocabulary * d_model
        before = (
            [p.numel() for p in head.parameters() if p.ndim == 2 and p.numel() != decoder] if head else []
        )
        return cls(token, 4.0 * d_model * len(blocks), 2.0 * (sum(before) + decoder) if head else 0.0)

    def training(self, lengths: Iterable[int], hidden: int) -> float:
        """Operations of a step, forward and backward, over sequences of some lengths with `hidden` tokens."""
        lengths = list(lengths)
        forward = self.token * sum(lengths) + self.pair * sum(n * n for n in lengths) + self.hidden * hidden
        return TRAINING * forward


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(
    precision: Literal["fp32", "bf16"],
    device: torch.device,
    seconds: float = 0.5,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Operations per second of a square matrix product: the best of as many as fit into the time.

    Args:
        precision: of its operands.
        device: where it is computed.
        seconds: how long to try; there are three tries at least.
        clock: a clock in seconds.
    """
    size = 1024 if device.type == "cpu" else 8192
    # Random numbers, as in training: a processor at its power limit multiplies ones faster.
    a = torch.randn(size, size, generator=torch.Generator().manual_seed(0)).to(
        device, torch.float32 if precision == "fp32" else torch.bfloat16
    )
    best, tried, began = float("inf"), 0, clock()
    while tried < 3 or clock() - began < seconds:
        start = clock()
        torch.mm(a, a)
        wait_for(device)
        best, tried = min(best, clock() - start), tried + 1
    return 2.0 * size**3 / best


def _matrices(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.ndim == 2)
