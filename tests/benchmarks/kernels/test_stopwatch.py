"""The stopwatches: who is called how often and in which order. No test depends on the machine's speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from xformer.benchmarks.kernels import stopwatch as module
from xformer.benchmarks.kernels.stopwatch import CpuStopwatch, GpuStopwatch, Work, repetitions, stopwatch

CPU = torch.device("cpu")


class Clock:
    """Stands still unless something takes time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def takes(self, name: str, seconds: float) -> Callable[..., str]:
        def work(*_: object) -> str:
            self.log.append(name)
            self.now += seconds
            return name

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(module, "CACHE_BYTES", 64)
    monkeypatch.setattr(module, "LEAST_CACHE_BYTES", 64)
    return clock


def test_the_device_has_its_stopwatch(clock: Clock) -> None:
    assert isinstance(stopwatch(CPU), CpuStopwatch)


@pytest.mark.parametrize(
    ("seconds", "calls"), [(1.0, 1), (0.5, 2), (0.3, 4), (0.0, 10), (1e-12, 10)], ids=str
)
def test_repetitions(seconds: float, calls: int) -> None:
    assert repetitions(seconds, shortest=1.0, most=10) == calls


def test_short_work_is_repeated_within_a_turn(clock: Clock) -> None:
    runner = CpuStopwatch(shortest=1e-3).start(Work(clock.takes("work", 0.25e-3)))
    assert clock.log == ["work"] * 2, "once to warm up and once to see how long it takes"
    clock.log.clear()
    assert runner.warm() == pytest.approx(0.25e-3)
    assert clock.log == ["work"] * (1 + 4), "the first leaves the caches warm"
    clock.log.clear()
    assert runner.cold() == pytest.approx(0.25e-3)
    assert clock.log == ["work"]


def test_long_work_is_called_once(clock: Clock) -> None:
    runner = CpuStopwatch().start(Work(clock.takes("work", 10.0)))
    clock.log.clear()
    assert runner.warm() == 10.0
    assert clock.log == ["work"]


def test_what_comes_before_is_not_timed(clock: Clock) -> None:
    given: list[object] = []
    timed = clock.takes("backward", 2.0)

    def backward(state: object) -> None:
        given.append(state)
        timed()

    runner = CpuStopwatch().start(Work(backward, clock.takes("forward", 100.0)))
    clock.log.clear()
    assert runner.warm() == pytest.approx(2.0)
    assert runner.cold() == pytest.approx(2.0)
    assert clock.log == ["forward", "backward"] * 2
    assert set(given) == {"forward"}


@pytest.mark.parametrize(
    ("sizes", "mebibytes"),
    [(["48K", "2048K", "49152K"], 96), (["32K"], 32), (["999999K"], 256), ([], 256), (["?"], 256)],
)
def test_twice_the_last_cache_is_overwritten(sizes: list[str], mebibytes: int, tmp_path: Path) -> None:
    for number, size in enumerate(sizes):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}" / "size").write_text(f"{size}\n", encoding="utf-8")
    assert module.cpu_cache_bytes(tmp_path) == mebibytes * 2**20


def test_a_cpu_has_no_launches_apart(clock: Clock) -> None:
    assert CpuStopwatch().start(Work(lambda _: None)).launch() is None


def test_peak_memory_on_a_cpu() -> None:
    """x·x and its softmax are there at one time, each 100 × 100 fp32; inputs don't count."""
    x = torch.randn(100, 100)
    runner = CpuStopwatch(1e-6).start(Work(lambda _: (x @ x).softmax(-1).sum()))
    peak = runner.peak_bytes()
    assert peak is not None
    assert 80_000 <= peak <= 81_000


class FakeGpu:
    """What torch.cuda is asked: a log of it, and a clock that the device's work moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
        self.clock, self.held = clock, 0.0
        self.bytes = 1000
        gpu = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                clock.log.append("event")
                self.at = clock.now

            def synchronize(self) -> None:
                clock.log.append("wait")

            def elapsed_time(self, other: Event) -> float:
                return (other.at - self.at) * 1e3

        def sleep(cycles: int) -> None:
            clock.log.append("hold")
            gpu.held = cycles / 1e9
            clock.now += gpu.held  # a clock of 1 GHz

        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "_sleep", sleep)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: gpu.bytes)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: gpu.bytes + 234)
        self.stopwatch = GpuStopwatch(CPU)
        monkeypatch.setattr(self.stopwatch, "overwrite_cache", lambda: clock.log.append("overwrite"))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> FakeGpu:
    return FakeGpu(monkeypatch, clock)


def test_a_gpu_turn(gpu: FakeGpu, clock: Clock) -> None:
    """Held until all is launched; only what lies between the events counts."""
    runner = gpu.stopwatch.start(Work(clock.takes("work", 20e-6)))
    clock.log.clear()
    assert runner.warm() == pytest.approx(20e-6)
    assert clock.log == ["hold", "work", "event", "work", "work", "work", "event", "wait"]
    assert gpu.held > 4 * 20e-6, "longer than the host took for all four calls"
    clock.log.clear()
    assert runner.cold() == pytest.approx(20e-6)
    assert clock.log == ["hold", "overwrite", "event", "work", "event", "wait"]


def test_a_backward_turn_on_a_gpu(gpu: FakeGpu, clock: Clock) -> None:
    """The forward pass is launched under the hold; the cache is overwritten after it."""
    work = Work(clock.takes("backward", 20e-6), clock.takes("forward", 5e-6))
    runner = gpu.stopwatch.start(work)
    clock.log.clear()
    assert runner.warm() == pytest.approx(20e-6)
    assert clock.log == ["hold", "forward", "forward", "backward", "event", "backward", "event", "wait"]
    clock.log.clear()
    assert runner.cold() == pytest.approx(20e-6)
    assert clock.log == ["hold", "forward", "overwrite", "event", "backward", "event", "wait"]


def test_the_hold_has_an_end(gpu: FakeGpu, clock: Clock) -> None:
    runner = gpu.stopwatch.start(Work(clock.takes("work", 3.0)))
    clock.log.clear()
    assert runner.warm() == pytest.approx(3.0)
    assert clock.log == ["hold", "event", "work", "event", "wait"]
    assert gpu.held <= 0.1


def test_launches_on_a_gpu_are_the_hosts_time(gpu: FakeGpu, clock: Clock) -> None:
    work = Work(clock.takes("backward", 7e-6), clock.takes("forward", 5e-6))
    assert gpu.stopwatch.start(work).launch() == pytest.approx(7e-6)


def test_peak_memory_on_a_gpu(gpu: FakeGpu, clock: Clock) -> None:
    assert gpu.stopwatch.start(Work(lambda _: None)).peak_bytes() == 234
