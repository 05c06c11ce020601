"""How much arithmetic training asks for, and how much this machine can do.

Shapes: T tokens, S hidden tokens, C d_model, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

TRAINING = 3
"""Backward takes two products for each one forward."""


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
        """Operations of a step, forward and backward, over sequences of these lengths with so many hidden
        tokens.
        """
        lengths = list(lengths)
        forward = self.token * sum(lengths) + self.pair * sum(n * n for n in lengths) + self.hidden * hidden
        return TRAINING * forward


def wait_for(device: torch.device) -> None:
    """Until all that a device was asked for is done; a CPU has done it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(
    precision: Literal["fp32", "bf16"],
    device: torch.device,
    seconds: float = 0.5,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Operations a second of a square matrix product: the best of as many as fit into the time.

    Args:
        precision: of its operands.
        device: where.
        seconds: how long to try, at least three times.
        clock: in seconds.
    """
    size = 1024 if device.type == "cpu" else 8192
    # A processor whose power is limited multiplies ones faster than what training multiplies.
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
