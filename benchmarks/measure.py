"""Time several ways of doing the same work so that it is fair: warmed up, in turns, many times."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

Work = Callable[[], object]

# A GPU's second-level cache keeps what the last call left there, which no training step would find. It is
# overwritten between calls, with more than any GPU's holds today.
CACHE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one value for each round, in the order they were taken."""

    seconds: tuple[float, ...]

    def quantile(self, q: float) -> float:
        """Seconds per call below which a share `q` of the rounds lies."""
        return float(np.quantile(self.seconds, q))

    @property
    def median(self) -> float:
        """Seconds per call of the middle round."""
        return self.quantile(0.5)


def measure(
    works: Mapping[str, Work],
    device: torch.device,
    *,
    rounds: int = 30,
    shortest: float = 2e-3,
    budget: float = 10.0,
) -> dict[str, Timing]:
    """Time each of `works`, taking turns.

    In a round each has one turn, and every round begins with the next one, so that a machine that grows warm
    or busy slows all of them alike. A turn on a CPU is as many calls as fill `shortest` seconds, and on a GPU
    one call between two events, after the cache was overwritten.

    Args:
        works: the calls to time, by name.
        device: where they run.
        rounds: turns for each.
        shortest: seconds that a turn on a CPU lasts at least, since a clock can't resolve less.
        budget: seconds to spend in all, about: when they are used up no round is begun, but three are always
            done.

    Returns:
        The timing of each.
    """
    on_gpu = device.type == "cuda"
    turn = _turn_on_gpu(device) if on_gpu else _turn_on_cpu
    calls: dict[str, int] = {}
    for name, work in works.items():
        work()  # the first call compiles, allocates and fills caches
        calls[name] = 1 if on_gpu else math.ceil(shortest / max(turn(work, 1), 1e-9))
    names = list(works)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    deadline = time.perf_counter() + budget
    for number in range(rounds):
        if number >= 3 and time.perf_counter() > deadline:
            break
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(turn(works[name], calls[name]))
    return {name: Timing(tuple(taken)) for name, taken in seconds.items()}


def _turn_on_cpu(work: Work, calls: int) -> float:
    """Seconds per call over `calls` calls."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def _turn_on_gpu(device: torch.device) -> Callable[[Work, int], float]:
    """The same on a GPU, timed by the GPU itself."""
    cache = torch.empty(CACHE_BYTES, dtype=torch.int8, device=device)

    def turn(work: Work, calls: int) -> float:
        total = 0.0
        for _ in range(calls):
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            # While this runs the host gets ahead, so that its own time to launch the work isn't counted.
            cache.zero_()
            start.record()
            work()
            stop.record()
            torch.cuda.synchronize(device)
            total += start.elapsed_time(stop) / 1e3
        return total / calls

    return turn
