"""Time several ways of doing the same work so that it is fair: warmed up, in turns, many times."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from .stopwatch import Runner, Stopwatch, Work

# Shares of the budget that the slowest may use up to have its fewest turns.
_PATIENCE = 5


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one value for each round, in the order they were taken.

    Attributes:
        warm: with the caches as the last call left them.
        cold: with the caches overwritten.
        launch: what the host needs for one call on a GPU; None on a CPU, where it is part of the rest.
        peak_bytes: memory that a call takes at most, beside its inputs.
    """

    warm: tuple[float, ...]
    cold: tuple[float, ...]
    launch: float | None
    peak_bytes: int | None


def quantiles(seconds: tuple[float, ...]) -> dict[str, float] | None:
    """`p20`, `p50` and `p80` of some seconds; None of none."""
    if not seconds:
        return None
    return {f"p{q}": float(np.quantile(seconds, q / 100)) for q in (20, 50, 80)}


def measure(
    works: Mapping[str, Work],
    stopwatch: Stopwatch,
    *,
    rounds: int = 30,
    budget: float = 2.0,
    fewest: int = 3,
) -> dict[str, Timing | Exception]:
    """Time each of `works`, taking turns.

    In a round each has one turn, warm and cold, and every round begins with the next one, so that a machine
    that grows warm or busy slows all of them alike. Who has used up its share of the budget sits the other
    rounds out, so that the slowest doesn't cost the fast ones their precision.

    Args:
        works: the calls to time, by name.
        stopwatch: of the device they run on.
        rounds: turns for each at most.
        budget: seconds to spend in all, about, after each was warmed up.
        fewest: turns that each has though its share is used up, unless it is several times over.

    Returns:
        The timing of each, or the error by which it ended.
    """
    found: dict[str, Timing | Exception] = {}
    takes: dict[str, _Takes] = {}
    for name, work in works.items():
        try:
            runner = stopwatch.start(work)
            takes[name] = _Takes(runner, runner.launch(), runner.peak_bytes())
        except Exception as error:  # whatever a peer may raise, the others go on
            found[name] = error
            stopwatch.tidy()
    share = budget / max(1, len(takes))
    with _no_collection():
        for number in range(rounds):
            names = list(takes)
            first = number % max(1, len(names))
            for name in names[first:] + names[:first]:
                take = takes[name]
                if take.spent > share * (1 if len(take.warm) >= fewest else _PATIENCE):
                    continue
                start = time.perf_counter()
                try:
                    take.warm.append(take.runner.warm())
                    if number < stopwatch.cold_rounds:
                        take.cold.append(take.runner.cold())
                except Exception as error:
                    found[name] = error
                    del takes[name]
                    stopwatch.tidy()
                take.spent += time.perf_counter() - start
    for name, take in takes.items():
        found[name] = Timing(tuple(take.warm), tuple(take.cold), take.launch, take.peak_bytes)
    return found


@dataclass
class _Takes:
    """What was taken of one work so far."""

    runner: Runner
    launch: float | None
    peak_bytes: int | None
    warm: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    spent: float = 0.0


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector rests: it would fall upon one contender's turn."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
