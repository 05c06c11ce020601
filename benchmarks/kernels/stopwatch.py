"""Stopwatches for a CPU and for a GPU, with one interface."""

from __future__ import annotations

import gc
import math
import os
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.autograd.profiler import profile

# Before a cold call the caches are overwritten: in training they do not hold what the last call left there.
# A GPU's with more bytes than any has today, a CPU's with twice the size of its last cache, within bounds.
CACHE_BYTES = 256 * 2**20
LEAST_CACHE_BYTES = 32 * 2**20

# A call longer than this fills the caches itself, so no call is needed before it to warm them.
LONG = 20e-3


@dataclass(frozen=True)
class Work:
    """Something to time.

    Attributes:
        timed: the call; it gets the result of `before`.
        before: called before each call and not timed, such as the forward pass of a backward pass. If None,
            calls may follow each other.
    """

    timed: Callable[[Any], object]
    before: Callable[[], object] | None = None

    def begin(self) -> object:
        """Call `before`."""
        return None if self.before is None else self.before()


class Runner(ABC):
    """A work that is warmed up: its first call, which compiles and allocates, is over."""

    @abstractmethod
    def warm(self) -> float:
        """Seconds of a call, with the caches as the last call left them."""

    @abstractmethod
    def cold(self) -> float:
        """Seconds of a call, with other data in the caches."""

    @abstractmethod
    def launch(self) -> float | None:
        """Host time of a call in seconds; None where it is part of the call's time."""

    @abstractmethod
    def peak_bytes(self) -> int | None:
        """Largest memory of a call in bytes; None where it is not known."""


class Stopwatch(ABC):
    """Times works on one device.

    Attributes:
        cold_rounds: how many cold calls are timed; overwriting the caches of a CPU takes long.
    """

    cold_rounds: int

    @abstractmethod
    def start(self, work: Work) -> Runner:
        """Warm a work up."""

    @abstractmethod
    def tidy(self) -> None:
        """Release unused memory."""


def stopwatch(device: torch.device) -> Stopwatch:
    """The stopwatch for a device."""
    return GpuStopwatch(device) if device.type == "cuda" else CpuStopwatch()


def repetitions(seconds: float, shortest: float, most: int) -> int:
    """The number of calls of `seconds` each that take `shortest` seconds: 1 to `most`."""
    return max(1, min(most, math.ceil(shortest / max(seconds, 1e-9))))


def cpu_cache_bytes(about: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int:
    """Twice the size of the CPU's last cache, as Linux reports it, between 32 and 256 MiB."""
    sizes = [file.read_text(encoding="utf-8").strip() for file in about.glob("index*/size")]
    known = [int(size[:-1]) * 1024 for size in sizes if size[:-1].isdigit() and size.endswith("K")]
    return min(CACHE_BYTES, max(LEAST_CACHE_BYTES, 2 * max(known, default=CACHE_BYTES)))


class CpuStopwatch(Stopwatch):
    """A stopwatch for a CPU: the host's clock around enough calls for its resolution.

    Args:
        shortest: least seconds of a warm turn.
    """

    cold_rounds = 5

    def __init__(self, shortest: float = 2e-3) -> None:
        self._shortest = shortest
        self._cache = torch.empty(cpu_cache_bytes(), dtype=torch.int8)
        # Otherwise the profiler prints a line to stderr at each start and stop.
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")

    def start(self, work: Work) -> Runner:
        """Warm a work up."""
        return _OnCpu(work, self._cache, self._shortest)

    def tidy(self) -> None:
        """Do nothing: the CPU's allocator keeps little memory."""


class _OnCpu(Runner):
    def __init__(self, work: Work, cache: torch.Tensor, shortest: float) -> None:
        self._work, self._cache = work, cache
        work.timed(work.begin())
        seconds = self._once()
        self._calls = repetitions(seconds, shortest, 1000)
        self._long = seconds > LONG

    def warm(self) -> float:
        work = self._work
        if not self._long:
            self._once()
        if work.before is not None:
            return sum(self._once() for _ in range(self._calls)) / self._calls
        start = time.perf_counter()
        for _ in range(self._calls):
            work.timed(None)
        return (time.perf_counter() - start) / self._calls

    def cold(self) -> float:
        return self._once(self._cache.zero_)

    def launch(self) -> None:
        return None

    def peak_bytes(self) -> int:
        """The sum of what PyTorch's allocator reports; other memory is not counted."""
        with profile(profile_memory=True) as profiled:
            self._work.timed(self._work.begin())
        events = [event for event in profiled.kineto_results.events() if event.name() == "[memory]"]
        now = peak = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            now += event.nbytes()
            peak = max(peak, now)
        return peak

    def _once(self, between: Callable[[], object] | None = None) -> float:
        state = self._work.begin()
        if between is not None:
            between()
        start = time.perf_counter()
        self._work.timed(state)
        return time.perf_counter() - start


class GpuStopwatch(Stopwatch):
    """A stopwatch for a GPU: two events around calls that the host launched before the first one started.

    Before each turn the GPU is kept busy for longer than the host needs to launch all calls. So the events
    measure the device's time alone, also of short kernels; the host's time is measured separately. The result
    is that of replaying a CUDA graph, and calls that no graph can capture work too.

    Args:
        device: the GPU.
        shortest: least seconds of a warm turn; the resolution of events is half a microsecond.
    """

    cold_rounds = 30
    _LONGEST_HOLD = 0.1

    def __init__(self, device: torch.device, shortest: float = 50e-6) -> None:
        self._device = device
        self._shortest = shortest
        self._cache = torch.empty(CACHE_BYTES, dtype=torch.int8, device=device)
        cycles = 10_000_000
        torch.cuda._sleep(cycles)
        start, stop = self.events()
        start.record()
        torch.cuda._sleep(cycles)
        stop.record()
        stop.synchronize()
        self._cycles_per_second = cycles / (start.elapsed_time(stop) / 1e3)

    def start(self, work: Work) -> Runner:
        """Warm a work up."""
        return _OnGpu(work, self, self._shortest)

    def tidy(self) -> None:
        """Return cached blocks, so that the next implementation has all of the memory."""
        gc.collect()
        torch.cuda.empty_cache()

    def hold(self, seconds: float) -> None:
        """Keep the GPU busy for some seconds."""
        torch.cuda._sleep(int(min(seconds, self._LONGEST_HOLD) * self._cycles_per_second))

    def events(self) -> tuple[torch.cuda.Event, torch.cuda.Event]:
        """Two events that record the time."""
        return torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def overwrite_cache(self) -> None:
        """Fill the second-level cache with other data."""
        self._cache.zero_()

    def wait(self) -> None:
        """Wait until the GPU has done all its work."""
        torch.cuda.synchronize(self._device)

    def peak_bytes(self, call: Callable[[], object]) -> int:
        """Largest memory that a call takes in addition to what is allocated before."""
        self.wait()
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        call()
        self.wait()
        return torch.cuda.max_memory_allocated(self._device) - before


class _OnGpu(Runner):
    _LAUNCHES = 15
    _LAUNCH_SECONDS = 0.05
    _MARGIN = 100e-6

    def __init__(self, work: Work, gpu: GpuStopwatch, shortest: float) -> None:
        self._work, self._gpu = work, gpu
        for _ in range(2):  # at the second call everything is compiled: its time is the host's
            gpu.wait()
            start = time.perf_counter()
            work.timed(work.begin())
            self._host = time.perf_counter() - start
        gpu.wait()
        seconds = self._turn(1, None)
        self._calls = repetitions(seconds, shortest, 10) if work.before is None else 1
        self._settle = None if seconds > LONG else self._once

    def warm(self) -> float:
        return self._turn(self._calls, self._settle)

    def cold(self) -> float:
        return self._turn(1, self._gpu.overwrite_cache)

    def launch(self) -> float:
        seconds: list[float] = []
        deadline = time.perf_counter() + self._LAUNCH_SECONDS
        while len(seconds) < self._LAUNCHES and (not seconds or time.perf_counter() < deadline):
            self._gpu.wait()
            state = self._work.begin()
            start = time.perf_counter()
            self._work.timed(state)
            seconds.append(time.perf_counter() - start)
        self._gpu.wait()
        return statistics.median(seconds)

    def peak_bytes(self) -> int:
        return self._gpu.peak_bytes(self._once)

    def _once(self) -> None:
        self._work.timed(self._work.begin())

    def _turn(self, calls: int, first: Callable[[], None] | None) -> float:
        """Mean seconds of some calls, launched before the first one starts; `first` is called before them."""
        start, stop = self._gpu.events()
        self._gpu.hold(1.5 * self._host * (calls + 1) + self._MARGIN)
        state = self._work.begin()
        if first is not None:
            first()
        start.record()
        for _ in range(calls):
            self._work.timed(state)
        stop.record()
        stop.synchronize()
        return float(start.elapsed_time(stop)) / 1e3 / calls
