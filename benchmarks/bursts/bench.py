"""Two revisions in bursts: both are started, and compute in turns.

Turns of tenths of a second see the same machine, and the ratio of two neighbours cancels what drifts. Where
code and data lie in memory is drawn anew for each process and is worth a hundredth, so pairs of processes are
started several times, and the interval is over their medians.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from xformer.errors import InputError
from xformer.threads import environment_as_given

_WORKER = Path(__file__).with_name("worker.py")
_RESAMPLES = 2_000


@dataclass(frozen=True)
class Ratio:
    """This tree's seconds divided by the base's.

    Attributes:
        work: what was repeated.
        ratio: median over pairs of processes of the median over their bursts.
        low: of the 95% interval, by resampling pairs of processes and their bursts.
        high: of the same.
        milliseconds: median of a pass of this tree.
        bursts: pairs of bursts in all.
    """

    work: str
    ratio: float
    low: float
    high: float
    milliseconds: float
    bursts: int


class Side:
    """A worker that computes when it is told to."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process, self._name = process, name

    def seconds(self, work: str, times: int) -> float:
        """How long so many passes take.

        Raises:
            InputError: the worker ended.
        """
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        try:
            into.write(f"{work} {times}\n")
            into.flush()
            return float(out.readline())
        except (BrokenPipeError, ValueError) as error:
            self._process.kill()
            said = (self._process.stderr.read() if self._process.stderr else "").strip()[-500:]
            raise InputError(f"{self._name}: the worker ended: {said}") from error


@contextmanager
def side(root: Path, python: str = sys.executable, threads: int = 1) -> Iterator[Side]:
    """Start a worker with the code of a tree; it ends with the block."""
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [python, "-P", str(_WORKER), str(threads)],
        cwd=root,
        env={**environment_as_given(), "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Side(process, str(root))
    finally:
        process.kill()
        process.communicate()


def compare(
    base: Path,
    here: Path,
    works: Sequence[str],
    *,
    starts: int,
    bursts: int,
    seconds: float,
    threads: int,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Ratio]:
    """Measure.

    Args:
        base: root of the base's files.
        here: of this tree's.
        works: of `train` and `encode`.
        starts: how many pairs of processes are started.
        bursts: pairs of bursts of each work and pair of processes.
        seconds: about how long a burst is.
        threads: of each side; they never compute at the same time.
        progress: called with what is measured, what is done, and of how much.
    """
    ratios: dict[str, list[list[float]]] = {work: [] for work in works}
    passes: dict[str, list[float]] = {work: [] for work in works}
    total = starts * len(works)
    for start in range(starts):
        # The order in which they start decides on addresses, too.
        roots = (base, here) if start % 2 == 0 else (here, base)
        with side(roots[0], threads=threads) as one, side(roots[1], threads=threads) as two:
            base_side, here_side = (one, two) if start % 2 == 0 else (two, one)
            for number, work in enumerate(works):
                progress(f"{work}, processes {start + 1}", start * len(works) + number, total)
                times = _times(base_side, work, seconds)
                _times(here_side, work, seconds)
                found = list(_pairs(base_side, here_side, work, times, bursts))
                ratios[work].append([ours / theirs for theirs, ours in found])
                passes[work] += [ours / times for _, ours in found]
    return [_ratio(work, ratios[work], passes[work]) for work in works]


def _times(of: Side, work: str, seconds: float) -> int:
    """How many passes take about so long; the first ones are not counted."""
    of.seconds(work, 2)
    return max(1, round(seconds / (of.seconds(work, 3) / 3)))


def _pairs(base: Side, here: Side, work: str, times: int, bursts: int) -> Iterator[tuple[float, float]]:
    """Seconds of the base and of this tree, every other time this tree first."""
    for burst in range(bursts):
        if burst % 2 == 0:
            theirs = base.seconds(work, times)
            yield theirs, here.seconds(work, times)
        else:
            ours = here.seconds(work, times)
            yield base.seconds(work, times), ours


def _ratio(work: str, ratios: list[list[float]], passes: list[float]) -> Ratio:
    """The median, and its interval by resampling processes and, within each, bursts."""
    rng = np.random.default_rng(0)
    medians = []
    for _ in range(_RESAMPLES):
        drawn = [ratios[i] for i in rng.integers(0, len(ratios), len(ratios))]
        medians.append(median(float(np.median(rng.choice(one, len(one)))) for one in drawn))
    low, high = np.quantile(medians, [0.025, 0.975])
    middle = median(median(one) for one in ratios)
    return Ratio(work, middle, float(low), float(high), 1e3 * median(passes), sum(map(len, ratios)))
