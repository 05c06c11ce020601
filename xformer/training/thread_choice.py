"""The number of CPU threads that a step runs on, chosen by measuring while a run trains.

On idle cores all threads are the fastest. Beside other busy processes they wait for one another at the end of
each operation, and one thread may be several times as fast. So now and then one step is taken on another
number of threads, right after steps on the present one, and the faster number is kept.

The number of threads may change bits: a sum over all elements is added up in as many parts as there are
threads (so are the gradients of layer norm's weights), and matrix products may be divided in another way. So
a run whose length is set in steps, which promises the same bits however often it is stopped, keeps the number
it began with.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

import torch

from xformer.runs.config import TrainingConfig

CLEARLY = 1.05
"""A number of threads replaces another if it is this many times as fast, twice in a row."""

_RECENT = 5  # steps on the present number that a challenger is compared with
_FIRST = 3  # least of them
_REST = 20  # least number of steps between two comparisons
_COST = 0.005  # share of the time that comparisons may take
_REST_SECONDS = 60.0  # longest time between two comparisons, unless they cost more than _COST_UNSTEADY
_COST_UNSTEADY = 0.03  # the same share where the speed has changed, or after the longest time
_DRIFT = 1.4  # the speed has changed if it is this many times what it was, or the inverse


@dataclass
class _StageSpeed:
    """What was measured in one stage.

    Attributes:
        threads: the present number.
        rates: tokens a second of the last steps on it.
        level: their median at the last comparison.
        waiting: numbers that are still to be compared in this round.
        wins: how often in a row the first of `waiting` was clearly faster.
        steps: since the last comparison.
        seconds: since the last comparison.
        lost: seconds that the last round of comparisons took longer than steps on the present number.
    """

    threads: int
    waiting: list[int]
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    level: float = 0.0
    wins: int = 0
    steps: int = 0
    seconds: float = 0.0
    lost: float = 0.0


class ThreadChooser:
    """Says on how many threads the next step runs, and is told how long it took.

    Attributes:
        numbers: the numbers of threads to choose from, ascending; a single one is always taken.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        """Start with the largest number.

        Args:
            numbers: to choose from, each at least 1.
        """
        self.numbers = tuple(sorted(set(numbers)))
        if not self.numbers or self.numbers[0] < 1:
            raise ValueError(f"numbers of threads: expected whole numbers from 1, got {self.numbers}")
        self._stages: dict[str, _StageSpeed] = {}
        self._last = self.numbers[-1]

    def present(self, stage: str) -> int:
        """The number that has proved the fastest so far, in this stage."""
        return self._stages[stage].threads if stage in self._stages else self._last

    def next(self, stage: str) -> int:
        """The number of threads for the next step of a stage."""
        if len(self.numbers) == 1:
            return self.numbers[0]
        if stage not in self._stages:
            # A new stage begins with what was fastest in the one before, and compares all.
            others = [number for number in self.numbers if number != self._last]
            self._stages[stage] = _StageSpeed(self._last, others)
        speed = self._stages[stage]
        ready = len(speed.rates) >= _FIRST and speed.waiting
        return speed.waiting[0] if ready else speed.threads

    def record(self, stage: str, threads: int, tokens: int, seconds: float) -> None:
        """Take note of a step.

        Args:
            stage: of the step.
            threads: what `next` gave.
            tokens: in the step. Steps of one stage may differ in size, so speeds are compared by token.
            seconds: that it took.
        """
        if len(self.numbers) == 1 or seconds <= 0.0 or tokens <= 0:
            return
        speed, rate = self._stages[stage], tokens / seconds
        if threads == speed.threads:
            speed.rates.append(rate)
            speed.steps, speed.seconds = speed.steps + 1, speed.seconds + seconds
            if not speed.waiting and self._is_due(speed):
                speed.waiting = [number for number in self.numbers if number != speed.threads]
                speed.lost = 0.0
        else:
            self._compare(speed, threads, rate, seconds)
        self._last = speed.threads

    def _compare(self, speed: _StageSpeed, threads: int, rate: float, seconds: float) -> None:
        """Compare a step on another number with the last steps on the present one."""
        usual = median(speed.rates)
        speed.lost += max(0.0, seconds - seconds * rate / usual)
        speed.wins = speed.wins + 1 if rate > CLEARLY * usual else 0
        if speed.wins == 1:
            return  # a single step may be luck
        if switched := speed.wins > 0:
            speed.threads = threads
            # All others have to be compared with the new one; the one just left has lost.
            speed.rates.clear()
            speed.rates.append(rate)
        # Not what follows: the speed may have changed just now, and then this comparison means nothing.
        speed.level = rate if switched else usual
        speed.waiting = speed.waiting[1:]
        speed.wins = 0
        if not speed.waiting:
            speed.steps, speed.seconds = 0, 0.0

    def _is_due(self, speed: _StageSpeed) -> bool:
        """Whether the numbers are to be compared again."""
        if len(speed.rates) < _FIRST:
            return False
        now = median(list(speed.rates)[-_FIRST:])
        changed = speed.seconds > _REST_SECONDS or not speed.level / _DRIFT < now < speed.level * _DRIFT
        if speed.steps < (_RECENT if changed else _REST):
            return False
        return speed.seconds * (_COST_UNSTEADY if changed else _COST) >= speed.lost


@contextmanager
def threads_in_use(number: int | None = None) -> Iterator[Callable[[int], None]]:
    """Set PyTorch's number of threads; afterwards it is what it was before.

    Args:
        number: to begin with; None for the present one.

    Yields:
        A function that changes it.
    """
    before = torch.get_num_threads()

    def use(wanted: int) -> None:
        if wanted != torch.get_num_threads():
            torch.set_num_threads(wanted)

    use(before if number is None else number)
    try:
        yield use
    finally:
        use(before)


Why = Literal["given", "environment", "steps", "processes", "device", "single", "measured"]

_REASONS: dict[Why, str] = {
    "given": "as training.threads says",
    "environment": "as OMP_NUM_THREADS says",
    "steps": "the same to the end, since a run that is measured in steps repeats its bits",
    "processes": "as each of many processes was given",
    "device": "beside the device",
    "single": "as PyTorch has no more here",
}


@dataclass(frozen=True)
class Threads:
    """The numbers of threads of a run.

    Attributes:
        chooser: chooses among them.
        why: why there is one only, or `measured`.
    """

    chooser: ThreadChooser
    why: Why

    @classmethod
    def fixed(cls, number: int | None = None, why: Why = "given") -> Threads:
        """One number; None for PyTorch's present one."""
        return cls(ThreadChooser([torch.get_num_threads() if number is None else number]), why)

    @property
    def pinned(self) -> int | None:
        """The number, where there is one only."""
        numbers = self.chooser.numbers
        return numbers[0] if len(numbers) == 1 else None

    def __str__(self) -> str:
        numbers = self.chooser.numbers
        if self.why == "measured":
            return f"{', '.join(map(str, numbers[:-1]))} or {numbers[-1]}, chosen by measuring"
        return f"{numbers[0]}, {_REASONS[self.why]}"


def threads_of(
    options: TrainingConfig,
    device: torch.device,
    world: int,
    before: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Threads:
    """The threads of a run in this process.

    Args:
        options: `training.threads`, and whether the run is measured in steps.
        device: where steps are computed.
        world: number of processes that train together. Each keeps the number that `torchrun` gives it: a
            step ends when the slowest has ended it.
        before: the number that the run has kept so far, from its checkpoint; None if there is none.
        environment: with `OMP_NUM_THREADS`, if the user has set it.
    """
    if options.threads != "auto":
        return Threads.fixed(options.threads)
    if device.type != "cpu":
        return Threads.fixed(why="device")
    if world > 1:
        return Threads.fixed(why="processes")
    if options.steps is not None:
        return Threads.fixed(before, "steps")
    if "OMP_NUM_THREADS" in environment:
        return Threads.fixed(why="environment")
    most = torch.get_num_threads()
    if most == 1:
        return Threads.fixed(why="single")
    return Threads(ThreadChooser((1, max(1, most // 2), most)), "measured")
