"""Whether records meet a goal. A goal that was not measured is not met.

A goal is about a grid of cases. It is measured only if every case of the grid was, with our implementation
and the goal's peer in one run. A wrong result is no measurement.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from .operation import Case
from .record import Direction, Record, latest

OURS = "xformer triton"
HALF = ("bfloat16", "float16")

Shape = Mapping[str, int | float | str | bool]
Side = Mapping[str, Record]


class Unmeasured(Exception):
    """There is no number; the message says why."""


@dataclass(frozen=True)
class Goal:
    """A bound on the speed or memory of a kernel.

    Attributes:
        goal: its name.
        text: a description of the number.
        wanted: the bound.
        sense: whether the number must be at least or at most the bound.
        operation: the operation of the records.
        direction: their direction.
        within: whether a case belongs to the grid, given its sweep and shape.
        value: the number of one case, given the records of all implementations by name.
        fold: how the numbers of all cases become one: their geometric `mean`, or the `worst` of them.
    """

    goal: str
    text: str
    wanted: float
    sense: Literal["at least", "at most"]
    operation: str
    direction: Direction
    within: Callable[[str, Shape], bool]
    value: Callable[[Side], float]
    fold: Literal["mean", "worst"] = "worst"


@dataclass(frozen=True)
class Outcome:
    """A goal compared with the records.

    Attributes:
        goal: its name.
        text: a description of the number.
        wanted: the bound.
        sense: `at least` or `at most`.
        measured: the number, or none.
        met: whether it was measured and within the bound.
        device: where it was measured, or none.
        record: file and line of our record in the worst case.
        cases: the number of cases.
        note: the worst case; or why there is no number.
    """

    goal: str
    text: str
    wanted: float
    sense: str
    measured: float | None
    met: bool
    device: str | None
    record: str | None
    cases: int
    note: str

    @property
    def result(self) -> Literal["met", "not met", "not measured"]:
        """In words."""
        return "met" if self.met else "not measured" if self.measured is None else "not met"

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


def judge(
    written: Sequence[tuple[Record, str]],
    grid: Mapping[str, Sequence[Case]],
    goals: Iterable[Goal],
    device: str = "H100",
) -> list[Outcome]:
    """Compare records with goals.

    Args:
        written: the records, each with its file and line.
        grid: the cases that the bench measures on a GPU, for each operation.
        goals: the goals.
        device: part of the name of the device that the goals are about.
    """
    where = {id(record): place for record, place in written}
    right = [
        record
        for record, _ in written
        if record.environment.kind == "cuda" and device.lower() in record.environment.device.lower()
    ]
    names = {record.environment.device for record in right}
    # Of several cards of a kind, the one that was measured last.
    newest = max(
        names,
        key=lambda name: max(r.environment.time for r in right if r.environment.device == name),
        default="",
    )
    records = latest(record for record in right if record.environment.device == newest)
    return [_outcome(goal, records, where, grid.get(goal.operation, ()), newest, device) for goal in goals]


def _outcome(
    goal: Goal,
    records: Sequence[Record],
    where: Mapping[int, str],
    grid: Sequence[Case],
    name: str,
    wanted: str,
) -> Outcome:
    blank = Outcome(goal.goal, goal.text, goal.wanted, goal.sense, None, False, name or None, None, 0, "")

    def unmeasured(note: str) -> Outcome:
        return replace(blank, note=note)

    if not name:
        return unmeasured(f"nothing was measured on a device called {wanted}; `make gpu` does it")
    cases: dict[tuple[str, str], dict[str, Record]] = {}
    absent: dict[str, Record] = {}
    for record in records:
        if record.operation != goal.operation or record.dtype not in HALF:
            continue
        if record.status == "absent":
            absent[record.implementation] = record
        elif record.direction == goal.direction and goal.within(record.sweep, record.shape):
            cases.setdefault((record.case, record.dtype), {})[record.implementation] = record
    measured = {case for case, _ in cases}
    missing = [
        case.name for case in grid if goal.within(case.sweep, case.shape) and case.name not in measured
    ]
    if missing:
        return unmeasured(f"{len(missing)} of its cases were not measured: {', '.join(missing[:3])} …")
    if not cases:
        return unmeasured("none of its cases was measured")
    values: dict[tuple[str, str], float] = {}
    for key, side in cases.items():
        try:
            values[key] = goal.value({**absent, **side})
        except Unmeasured as reason:
            return unmeasured(f"{key[0]} ({key[1]}): {reason}")
    worst = (min if goal.sense == "at least" else max)(values, key=values.__getitem__)
    number = values[worst]
    if goal.fold == "mean":
        number = math.exp(sum(map(math.log, values.values())) / len(values))
    met = number >= goal.wanted if goal.sense == "at least" else number <= goal.wanted
    note = f"worst in {worst[0]} ({worst[1]}): {values[worst]:.3g}"
    place = where[id(cases[worst][OURS])]
    return replace(blank, measured=number, met=met, record=place, cases=len(values), note=note)


def _timed(side: Side, name: str) -> Record:
    """The record of an implementation.

    Raises:
        Unmeasured: it has no time.
    """
    if name not in side:
        raise Unmeasured(f"{name} was not measured")
    record = side[name]
    if record.status != "ok" or not record.best_median:
        raise Unmeasured(f"{name} is {record.status}: {record.note}")
    return record


def _seconds(side: Side, name: str) -> float:
    return _timed(side, name).best_median or math.nan


def _peak(side: Side, name: str) -> float:
    peak = _timed(side, name).peak_bytes
    if not peak:
        raise Unmeasured(f"the memory of {name} is not known")
    return float(peak)


def faster_than(*names: str) -> Callable[[Side], float]:
    """How many times as fast as the fastest of several peers, all of which must have been measured."""
    return lambda side: min(_seconds(side, name) for name in names) / _seconds(side, OURS)


def faster_than_best(*needed: str) -> Callable[[Side], float]:
    """How many times as fast as the best peer of all. The peers in `needed` must have been measured."""

    def value(side: Side) -> float:
        for name in needed:
            _timed(side, name)
        peers = [r for name, r in side.items() if not name.startswith("xformer") and r.status == "ok"]
        best = min((r.best_median for r in peers if r.best_median), default=math.nan)
        return best / _seconds(side, OURS)

    return value


def slower_than(name: str) -> Callable[[Side], float]:
    """How many times the time of another implementation."""
    return lambda side: _seconds(side, OURS) / _seconds(side, name)


def memory_of(name: str) -> Callable[[Side], float]:
    """Peak memory as a share of another implementation's."""
    return lambda side: _peak(side, OURS) / _peak(side, name)


def share_of_roofline(side: Side) -> float:
    """The share of the roofline; where memory binds, that is the bandwidth of a large copy."""
    share = _timed(side, OURS).roofline_share
    if share is None:
        raise Unmeasured("the device's own copy was not measured")
    return share
