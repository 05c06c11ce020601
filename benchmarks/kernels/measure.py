"""Time several implementations of the same work fairly: warmed up, in turns, many times."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from .stopwatch import Runner, Stopwatch, Work

# Times its share of the budget that a slow implementation may use for its fewest turns.
_PATIENCE = 5


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one value for each round, in order.

    Attributes:
        warm: with the caches as the last call left them.
        cold: with the caches overwritten.
        launch: host time of one call on a GPU; None on a CPU, where it is part of the call's time.
        peak_bytes: largest memory of a call, beside its inputs.
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

    In a round each has one turn, warm and cold, and every round starts with the next one: a machine that gets
    hot or busy slows all of them alike. An implementation that has used its share of the budget skips the
    other rounds, so that a slow one does not reduce the precision of the others.

    Args:
        works: the calls to time, by name.
        stopwatch: of the device they run on.
        rounds: largest number of turns of each.
        budget: about how many seconds to spend in all, after warming up.
        fewest: turns that each has even if its share is used up, unless it is exceeded several times.

    Returns:
        The timing of each, or the error that it raised.
    """
    found: dict[str, Timing | Exception] = {}
    takes: dict[str, _Takes] = {}
    for name, work in works.items():
        try:
            runner = stopwatch.start(work)
            takes[name] = _Takes(runner, runner.launch(), runner.peak_bytes())
        except Exception as error:  # a peer may raise anything; the others go on
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
    """The measurements of one work so far."""

    runner: Runner
    launch: float | None
    peak_bytes: int | None
    warm: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    spent: float = 0.0


@contextmanager
def _no_collection() -> Iterator[None]:
    """Turn off Python's garbage collector, which would run in one implementation's turn."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
