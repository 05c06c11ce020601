"""The stopwatch: who is called how often and in which order. No test here depends on the machine's speed."""

from __future__ import annotations

import itertools

import pytest
import torch

from xformer.benchmarks import measure as module
from xformer.benchmarks.measure import Timing, measure

CPU = torch.device("cpu")


def test_quantiles() -> None:
    timing = Timing((4.0, 1.0, 2.0, 3.0, 5.0))
    assert timing.median == 3.0
    assert timing.quantile(0.2) == pytest.approx(1.8)
    assert timing.quantile(0.8) == pytest.approx(4.2)


def test_turns_are_taken_and_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that ticks one second a look, each turn is one call and takes one second."""
    clock = itertools.count()
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    called: list[str] = []
    works = {name: (lambda name=name: called.append(name)) for name in "abc"}
    timings = measure(works, CPU, rounds=4, shortest=0.5, budget=1e9)
    warm_up = "aabbcc"
    assert "".join(called) == warm_up + "abc" + "bca" + "cab" + "abc"
    assert all(timing.seconds == (1.0,) * 4 for timing in timings.values())


def test_short_work_is_repeated_within_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    calls = [0]

    def work() -> None:
        calls[0] += 1
        now[0] += 0.25

    timing = measure({"work": work}, CPU, rounds=3, shortest=1.0)["work"]
    assert calls[0] == 2 + 3 * 4
    assert timing.seconds == (0.25, 0.25, 0.25)


def test_the_budget_ends_it_after_three_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    def work() -> None:
        now[0] += 100.0

    assert len(measure({"work": work}, CPU, rounds=30, budget=1.0)["work"].seconds) == 3
