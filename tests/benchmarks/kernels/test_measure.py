"""Fairness among contenders: turns are taken and rotated, and the slowest doesn't spend the others' time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xformer.benchmarks.kernels import measure as module
from xformer.benchmarks.kernels.measure import Timing, measure, quantiles
from xformer.benchmarks.kernels.stopwatch import Runner, Stopwatch, Work


class Fake(Stopwatch):
    """Says what it does, and takes as long as each work says."""

    cold_rounds = 2

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.now = 0.0
        self.tidied = 0
        monkeypatch.setattr(module.time, "perf_counter", lambda: self.now)

    def start(self, work: Work) -> Runner:
        return _FakeRunner(self, work)

    def tidy(self) -> None:
        self.tidied += 1

    def work(self, name: str, seconds: float) -> Work:
        return Work(lambda _: (name, seconds))


class _FakeRunner(Runner):
    def __init__(self, owner: Fake, work: Work) -> None:
        self._owner, self._work = owner, work
        work.timed(None)

    def _take(self, kind: str) -> float:
        made: Any = self._work.timed(None)
        name, seconds = made
        self._owner.log.append(kind + name)
        self._owner.now += seconds
        return float(seconds)

    def warm(self) -> float:
        return self._take("")

    def cold(self) -> float:
        return self._take("cold ") * 2

    def launch(self) -> float:
        return 1e-6

    def peak_bytes(self) -> int:
        return 7


def test_quantiles() -> None:
    assert quantiles((4.0, 1.0, 2.0, 3.0, 5.0)) == pytest.approx({"p20": 1.8, "p50": 3.0, "p80": 4.2})
    assert quantiles(()) is None


def test_turns_are_taken_and_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch)
    found = measure({name: fake.work(name, 1.0) for name in "abc"}, fake, rounds=3, budget=1e9)
    assert fake.log == [
        *("a", "cold a", "b", "cold b", "c", "cold c"),
        *("b", "cold b", "c", "cold c", "a", "cold a"),
        *("c", "a", "b"),
    ]
    assert found["a"] == Timing(warm=(1.0,) * 3, cold=(2.0,) * 2, launch=1e-6, peak_bytes=7)


def test_the_slow_one_sits_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may spend 3 seconds: the slow one does so in a turn, and has its fewest; the fast one goes on."""
    fake = Fake(monkeypatch)
    works = {"slow": fake.work("slow", 2.0), "fast": fake.work("fast", 0.01)}
    found = measure(works, fake, rounds=20, budget=6.0, fewest=3)
    slow, fast = found["slow"], found["fast"]
    assert isinstance(slow, Timing)
    assert isinstance(fast, Timing)
    assert len(slow.warm) == 3
    assert len(fast.warm) == 20
    assert len(fast.cold) == 2


def test_the_very_slow_one_has_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch)
    found = measure({"slow": fake.work("slow", 100.0)}, fake, rounds=20, budget=1.0)["slow"]
    assert isinstance(found, Timing)
    assert len(found.warm) == 1


@pytest.mark.parametrize("turns", [0, 3])
def test_who_breaks_down_leaves_the_others_alone(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first turn or in the middle of one."""
    fake = Fake(monkeypatch)
    calls = [0]

    def breaks(_: object) -> tuple[str, float]:
        calls[0] += 1
        if calls[0] > turns:
            raise RuntimeError("out of memory")
        return "bad", 1.0

    found = measure({"bad": Work(breaks), "good": fake.work("good", 1.0)}, fake, rounds=5, budget=1e9)
    assert str(found["bad"]) == "out of memory"
    good = found["good"]
    assert isinstance(good, Timing)
    assert len(good.warm) == 5
    assert fake.tidied == 1


def test_nothing_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure({}, Fake(monkeypatch)) == {}


def test_the_collector_rests_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    fake = Fake(monkeypatch)
    take: Callable[[_FakeRunner], float] = _FakeRunner.warm

    def warm(self: _FakeRunner) -> float:
        seen.append(module.gc.isenabled())
        return take(self)

    monkeypatch.setattr(_FakeRunner, "warm", warm)
    measure({"a": fake.work("a", 1.0)}, fake, rounds=2)
    assert seen == [False, False]
    assert module.gc.isenabled()
