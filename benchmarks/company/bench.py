"""Two revisions side by side: the same work, in turns, alone and beside busy processes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

from xformer.threads import environment_as_given

from ..companions import companions
from ..tree_process import TreeProcessError, run_in_tree

Work = Literal["train", "encode", "evaluate"]
Side = Literal["base", "here"]

_WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Tree:
    """The code of one side.

    Attributes:
        name: of the revision.
        root: its files.
        run: a prepared run with the default settings, which its code can read; it is not changed.
        python: the interpreter, in whose environment its packages are.
    """

    name: str
    root: Path
    run: Path
    python: str = sys.executable


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        work: what was measured.
        company: number of busy processes beside it.
        side: whose code.
        per_s: tokens per second; None if it failed.
        note: threads and steps, or the end of the error output.
    """

    work: Work
    company: int
    side: Side
    per_s: float | None
    note: str = ""


@dataclass(frozen=True)
class Compared:
    """Both sides of one kind of work in one company.

    Attributes:
        work: what was measured.
        company: number of busy processes beside it.
        base: median tokens per second of the base; None if a measurement failed.
        here: the same of this tree.
        ratio: `here / base`.
        wanted: the least ratio that is the goal.
    """

    work: Work
    company: int
    base: float | None
    here: float | None
    ratio: float | None
    wanted: float

    @property
    def met(self) -> bool:
        """Whether the goal was measured and met."""
        return self.ratio is not None and self.ratio >= self.wanted

    def to_json(self) -> dict[str, Any]:
        """One object."""
        return asdict(self) | {"met": self.met}


def measure_all(
    trees: dict[Side, Tree],
    company: Sequence[int],
    works: Sequence[Work] = get_args(Work),
    *,
    rounds: int = 2,
    seconds: float = 12.0,
    limit: float = 180.0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Iterator[Measured]:
    """Measure each work in each company, the two sides in turns; every other round begins with the other.

    Args:
        trees: the two sides.
        company: numbers of busy processes.
        works: what to measure.
        rounds: measurements of each.
        seconds: of each measurement, without its preparation.
        limit: seconds after which a measurement is ended and counts as failed.
        progress: called with what is measured, the number of measurements done, and of all.
    """
    total, done = len(company) * len(works) * rounds * len(trees), 0
    for number in company:
        for work in works:
            for turn in range(rounds):
                sides = list(trees) if turn % 2 == 0 else list(reversed(trees))
                for side in sides:
                    progress(f"{work}, {number} beside it, {trees[side].name}", done, total)
                    done += 1
                    with companions(number):
                        found = _measure(trees[side], work, seconds, limit)
                    yield Measured(work, number, side, found.get("per_s"), _note(found))


def compare(measured: Sequence[Measured]) -> list[Compared]:
    """The medians of both sides. The goal beside company is 4 times the base; alone it is the base."""
    found = []
    for work, company in dict.fromkeys((one.work, one.company) for one in measured):
        of = {
            side: [
                one.per_s for one in measured if (one.work, one.company, one.side) == (work, company, side)
            ]
            for side in get_args(Side)
        }
        base, here = (_median(of[side]) for side in ("base", "here"))
        ratio = here / base if here and base else None
        found.append(Compared(work, company, base, here, ratio, 4.0 if company else 1.0))
    return found


def _median(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return median(known) if known and len(known) == len(rates) else None


def _note(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items() if name != "per_s" and value)


def _measure(tree: Tree, work: Work, seconds: float, limit: float) -> dict[str, Any]:
    """Run the worker on one tree; its result, or the end of its error output."""
    # A number of threads that is set for other work would hide the choice that is measured.
    given = {name: value for name, value in environment_as_given().items() if name != "OMP_NUM_THREADS"}
    command = [str(_WORKER), work, str(tree.run.resolve()), f"{seconds:g}"]
    try:
        out = run_in_tree(tree.root, command, python=tree.python, environment=given, limit=limit)
    except TreeProcessError as error:
        return {"error": str(error)[-500:]}
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found
