"""Two revisions read, import and decontaminate the same texts, in turns, a process for each measurement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

from xformer.errors import InputError
from xformer.threads import environment_as_given

from ..tree_process import TreeProcessError, run_in_tree

Work = Literal["read", "import", "decontaminate"]
Side = Literal["base", "here"]

WANTED = {"import": 3.0, "decontaminate": 10.0}
"""The least ratio of speeds that is the goal; memory may not grow."""

_WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        work: what was measured.
        side: whose code.
        seconds: by the clock.
        cpu_seconds: of the processor, of all threads.
        peak_mib: most memory of the work, in MiB: beside what the process had when it began.
        stages: seconds by the clock of each stage.
    """

    work: Work
    side: Side
    seconds: float
    cpu_seconds: float
    peak_mib: float
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """Both sides of one kind of work: medians, without the time in which the texts are read.

    Attributes:
        work: what was measured.
        base: texts per second of the base.
        here: the same of this tree.
        ratio: `here / base`.
        cpu_ratio: the same of seconds of the processor.
        base_mib: most memory of the base's work, in MiB.
        here_mib: the same of this tree.
        wanted: the least ratio that is the goal.
    """

    work: Work
    base: float
    here: float
    ratio: float
    cpu_ratio: float
    base_mib: float
    here_mib: float
    wanted: float

    @property
    def met(self) -> bool:
        """Whether it is as much faster as wanted, with no more memory."""
        return self.ratio >= self.wanted and self.here_mib <= self.base_mib


def measure_all(
    trees: dict[Side, Path],
    corpus: Path,
    texts: int,
    *,
    rounds: int,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Iterator[Measured]:
    """Measure, the two sides in turns; every other round begins with the other.

    Args:
        trees: roots of the files of the two sides.
        corpus: a corpus, of whose training split the texts are.
        texts: how many.
        rounds: measurements of each.
        progress: called with what is measured, the number of measurements done, and of all.

    Raises:
        InputError: a measurement failed; the message has the end of its error output.
    """
    works: tuple[Work, ...] = get_args(Work)
    total, done = len(works) * rounds * len(trees), 0
    for turn in range(rounds):
        for work in works:
            for side in list(trees) if turn % 2 == 0 else list(reversed(trees)):
                progress(f"{work}, {side}", done, total)
                done += 1
                yield Measured(work, side, **_measure(trees[side], work, corpus, texts))


def compare(measured: Sequence[Measured], texts: int) -> list[Compared]:
    """The medians of both sides beside the goals."""

    def of(work: Work, side: Side, name: str) -> float:
        return median(getattr(one, name) for one in measured if (one.work, one.side) == (work, side))

    found = []
    for work in ("import", "decontaminate"):
        base, here, base_cpu, here_cpu = (
            max(of(work, side, name) - of("read", side, name), 1e-9)
            for name in ("seconds", "cpu_seconds")
            for side in ("base", "here")
        )
        base_mib, here_mib = (of(work, side, "peak_mib") for side in ("base", "here"))
        speeds = (texts / base, texts / here, base / here, base_cpu / here_cpu)
        found.append(Compared(work, *speeds, base_mib, here_mib, WANTED[work]))
    return found


def _measure(tree: Path, work: Work, corpus: Path, texts: int) -> dict[str, Any]:
    """Run the worker on one tree."""
    command = [str(_WORKER), work, str(corpus.resolve()), str(texts)]
    try:
        out = run_in_tree(tree, command, environment=environment_as_given())
    except TreeProcessError as error:
        raise InputError(f"{tree}: {work} failed: {str(error)[-500:]}") from error
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found
