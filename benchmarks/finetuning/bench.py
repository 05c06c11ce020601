"""Sides that take turns on the same texts, and the ratios of their speeds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.threads import environment_as_given

from .worker import Job, SideName

_RESAMPLES = 2_000


@dataclass(frozen=True)
class Speed:
    """One side.

    Attributes:
        side: its name.
        texts_per_s: median over its turns.
        ratio: how many times as many texts per second xformer trains on: median over pairs of turns.
        cpu_ratio: the same of the processors' time, which other work on the machine changes less.
        low: lower end of the ratio's 95% interval, by bootstrap over pairs of turns.
        high: upper end.
        note: why there are no numbers.
    """

    side: SideName
    texts_per_s: float = 0.0
    ratio: float = 0.0
    cpu_ratio: float = 0.0
    low: float = 0.0
    high: float = 0.0
    note: str = ""


class _Side:
    """A worker that trains when it is told to."""

    def __init__(self, process: subprocess.Popen[str], name: str, errors: Path) -> None:
        self._process, self._name, self._errors = process, name, errors

    def first(self) -> str | None:
        """Wait for the first burst, which is not counted; why there is none, or None."""
        line = self._line()
        return line.removeprefix("absent ") if line.startswith("absent") else None

    def seconds(self) -> tuple[float, float]:
        """Train one burst; how long it took, and how long the processors worked for it."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        wall, cpu = map(float, self._line().split())
        return wall, cpu

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            self._process.kill()
            said = self._errors.read_text(encoding="utf-8").strip()[-600:]
            raise InputError(f"{self._name}: the worker ended: {said}")
        return line


@contextmanager
def _side(job: Job, folder: Path) -> Iterator[_Side]:
    path = folder / f"{job.side.replace(' ', '-')}.json"
    path.write_text(job.to_json(), encoding="utf-8")
    with (folder / f"{path.stem}.err").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "xformer.benchmarks.finetuning.worker", str(path)],
            env={**environment_as_given(), "TOKENIZERS_PARALLELISM": "false"} | _threads(job),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield _Side(process, job.side, Path(errors.name))
        finally:
            process.kill()
            process.communicate()


def _threads(job: Job) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(job.threads), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def measure(
    job: Job,
    sides: Sequence[SideName],
    turns: int,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Speed]:
    """Let all sides train in turns.

    Args:
        job: of all sides.
        sides: the others; this package is always one.
        turns: of each side; the order changes with each round.
        progress: called with what is measured, what is done, and of how much.

    Raises:
        InputError: a worker failed.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers: dict[SideName, _Side] = {}
        speeds = []
        for name in ("xformer", *sides):
            worker = stack.enter_context(_side(replace(job, side=name), folder))
            if absent := worker.first():
                speeds.append(Speed(name, note=absent))
            else:
                workers[name] = worker
        seconds: dict[SideName, list[tuple[float, float]]] = {name: [] for name in workers}
        for turn in range(turns):
            order = list(workers)[:: 1 if turn % 2 == 0 else -1]
            for name in order:
                progress(f"turn of {name}", turn, turns)
                seconds[name].append(workers[name].seconds())
    texts = job.burst * job.batch_texts
    ours = np.array(seconds["xformer"])
    return [_speed(name, np.array(found), ours, texts) for name, found in seconds.items()] + speeds


def _speed(name: SideName, theirs: NDArray[np.float64], ours: NDArray[np.float64], texts: int) -> Speed:
    """The speeds of a side from its turns (turns, 2): seconds, and those of the processors."""
    ratios = theirs / ours
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios[:, 0], (_RESAMPLES, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    middle, cpu = np.median(ratios, axis=0).tolist()
    return Speed(name, texts / float(np.median(theirs[:, 0])), middle, cpu, float(low), float(high))
