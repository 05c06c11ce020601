"""Records as pictures: throughput along each sweep, and error against speed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xformer.plotting.charts import Axis, DotChart, Figure, LineChart, Series
from xformer.plotting.png import png
from xformer.plotting.shapes import BAR, Look
from xformer.storage.files import write_files

from .operation import ALL_DIRECTIONS
from .record import Record, latest

# What grows along a sweep, where several numbers of its shapes do.
GROWS = ("max_length", "width", "vocabulary", "n_tokens", "n_bytes", "size", "n_sequences")

# Useful operations for each byte below which bandwidth is the better unit: H100s turn at about 270.
COMPUTE_BOUND = 32.0


@dataclass(frozen=True)
class Sweep:
    """The records of one sweep on one device in one dtype, the newest of each measurement.

    Attributes:
        device: where it was measured.
        operation: of what.
        name: the sweep's.
        dtype: of the inputs.
        records: all of them, also those without a time.
        timed: implementations with a time in any sweep of the operation on the device, so that each looks the
            same in all of them.
    """

    device: str
    operation: str
    name: str
    dtype: str
    records: tuple[Record, ...]
    timed: frozenset[str]

    @property
    def title(self) -> str:
        """`attention, ragged d64, bfloat16`."""
        return ", ".join(part for part in (self.operation, self.name, self.dtype) if part)

    @property
    def file_name(self) -> str:
        """`nvidia-h100/attention-ragged-d64-bfloat16.png`."""
        return f"{_slug(self.device)}/{_slug(self.title)}.png"


@dataclass(frozen=True)
class Unit:
    """What throughput is counted in.

    Attributes:
        name: such as `TFLOP/s`.
        scale: its size.
        by_flops: operations rather than bytes.
    """

    name: str
    scale: float
    by_flops: bool

    def rate(self, record: Record) -> float:
        """A record's throughput; NaN where it has no time."""
        value = record.flops_per_second if self.by_flops else record.bytes_per_second
        return value / self.scale if value else math.nan


def is_ours(implementation: str) -> bool:
    """Whether it is one of this project's."""
    return implementation.startswith("xformer")


def looks_of(implementations: Iterable[str]) -> dict[str, Look]:
    """How each implementation is drawn, ours first: blue and thick. The peers have the other colours."""
    names = sorted(set(implementations), key=lambda name: (not is_ours(name), "triton" not in name, name))
    ours = sum(map(is_ours, names))
    looks = {}
    for number, name in enumerate(names):
        peer = number - ours
        style = f"s0 thick {('', 'dashed', 'dotted')[number % 3]}" if peer < 0 else f"s{1 + peer % 8}"
        style += " dashed" if peer >= 8 else ""
        looks[name] = Look(style.strip(), number % BAR)
    return looks


def sweeps(records: Iterable[Record]) -> list[Sweep]:
    """All sweeps in which something was timed, by device, operation and name."""
    grouped: dict[tuple[str, str, str, str], list[Record]] = {}
    timed: dict[tuple[str, str], set[str]] = {}
    for record in latest(records):
        where = (record.environment.device, record.operation)
        grouped.setdefault((*where, record.sweep, record.dtype), []).append(record)
        if record.seconds:
            timed.setdefault(where, set()).add(record.implementation)
    return [
        Sweep(*key, tuple(several), frozenset(timed[key[:2]]))
        for key, several in sorted(grouped.items())
        if any(record.seconds for record in several)
    ]


def sweep_figure(sweep: Sweep) -> Figure:
    """Throughput along a sweep, with the roofline: a chart for each direction.

    If the cases differ by one number, it is the horizontal axis. Otherwise each case has a row.
    """
    unit, along = unit_of(sweep.records), growing(sweep.records)
    timed = [record for record in sweep.records if record.seconds]
    looks = looks_of(sweep.timed)
    rates = {name: [(r, unit.rate(r)) for r in timed if r.implementation == name] for name in looks}
    rates["roofline"] = [(r, unit.rate(r) / r.roofline_share) for r in timed if r.roofline_share]
    looks["roofline"] = Look("soft dashed") if along else Look("soft", BAR, False)
    rates = {name: found for name, found in rates.items() if found}
    axis = Axis(ends=_room([rate for found in rates.values() for _, rate in found]), log=True)
    charts: list[LineChart | DotChart] = []
    for direction in _directions(timed):
        here = {
            name: [(r, rate) for r, rate in found if r.direction == direction]
            for name, found in rates.items()
        }
        if along is None:
            rows = {
                name: {r.case.removeprefix(sweep.name).strip(): rate for r, rate in found}
                for name, found in here.items()
            }
            charts.append(DotChart(direction, rows, axis, best=None, looks=looks))
        else:
            series = [
                Series(name, sorted({float(r.shape[along]): rate for r, rate in found}.items()), looks[name])
                for name, found in here.items()
            ]
            charts.append(LineChart(direction, _along(along, series), series, axis))
    return Figure(charts, f"{sweep.title}: useful {unit.name}", _note(sweep.device, sweep.records))


def error_figure(records: Sequence[Record]) -> Figure | None:
    """Error against speed: a dot for each implementation in each case, a chart for each direction.

    Speed is a share of the fastest's in the same case. The error is a multiple of plain PyTorch's; a result
    with more than twice that counts as wrong and has no speed.

    Args:
        records: of one operation on one device, the newest of each measurement.

    Returns:
        The figure, or None where no record has both an error and a time.
    """
    best: dict[tuple[str, ...], float] = {}
    points: dict[str, dict[str, list[tuple[float, float]]]] = {}
    judged = [(r, r.best_median, r.error_multiple) for r in records if r.best_median and r.error_multiple]
    for r, seconds, _ in judged:
        place = (r.direction, r.sweep, r.case, r.dtype)
        best[place] = min(best.get(place, math.inf), seconds or math.inf)
    for r, seconds, error in judged:
        share = best[r.direction, r.sweep, r.case, r.dtype] / (seconds or math.inf)
        points.setdefault(r.direction, {}).setdefault(r.implementation, []).append((share, error or 0.0))
    if not judged:
        return None
    looks = looks_of(r.implementation for r in records if r.seconds)
    marks = ((1.0, "plain PyTorch's error"), (2.0, "twice plain PyTorch's error"))
    y = Axis(ends=_room([2.0, *(error or 0.0 for *_, error in judged)]), log=True, marks=marks)
    x = Axis("speed, as a share of the fastest", (0.9 * min(0.25, *_shares(points)), 1.05), log=True)
    charts = [
        LineChart(
            direction,
            x,
            [
                Series(name, points[direction][name], replace(look, connected=False))
                for name, look in looks.items()
                if name in points[direction]
            ],
            y,
        )
        for direction in _directions(r for r, *_ in judged)
    ]
    first = judged[0][0]
    title = f"{first.operation}: error as a multiple of plain PyTorch's, against speed"
    return Figure(charts, title, _note(first.environment.device, records))


def write_pictures(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write a PNG for each sweep, and one of error against speed for each operation, in a folder per device.

    Args:
        records: of any devices and runs.
        folder: where; folders of the devices' names are made in it.

    Returns:
        The files; none where matplotlib is not installed.
    """
    figures = {sweep.file_name: sweep_figure(sweep) for sweep in sweeps(records)}
    for device, operation, several in by_operation(records):
        if errors := error_figure(several):
            figures[f"{_slug(device)}/{_slug(operation)}-error.png"] = errors
    return write_files((folder / name, png(figure)) for name, figure in figures.items())


def by_operation(records: Iterable[Record]) -> list[tuple[str, str, list[Record]]]:
    """Device, operation and its newest records, in order."""
    grouped: dict[tuple[str, str], list[Record]] = {}
    for record in latest(records):
        grouped.setdefault((record.environment.device, record.operation), []).append(record)
    return [(*key, several) for key, several in sorted(grouped.items())]


def growing(records: Sequence[Record]) -> str | None:
    """The number in the shapes that grows along a sweep; none where cases differ by more than one number.

    Batches of real text differ by more: the length of their longest sequence does not describe them.
    """
    cases = {record.case: record for record in records if record.case}
    if any("ragged" in record.sweep.split() for record in cases.values()):
        return None
    for name in GROWS:
        values = {record.shape.get(name) for record in cases.values()}
        if None not in values and len(values) == len(cases):
            return name
    return None


def unit_of(records: Sequence[Record]) -> Unit:
    """The unit of a sweep's throughput: operations a second, or where memory binds, bytes a second."""
    both = [r.flops / r.bytes for r in records if r.flops and r.bytes]
    by_flops = max(both) >= COMPUTE_BOUND if both else any(r.flops_per_second for r in records)
    if not by_flops:
        return Unit("GB/s", 1e9, False)
    most = max((r.flops_per_second or 0.0 for r in records), default=0.0)
    return Unit("TFLOP/s", 1e12, True) if most >= 1e12 else Unit("GFLOP/s", 1e9, True)


def _directions(records: Iterable[Record]) -> list[str]:
    found = {record.direction for record in records}
    return [name for name in ALL_DIRECTIONS if name in found]


def _along(name: str, series: Sequence[Series]) -> Axis:
    """The logarithmic axis of a sweep, with a tick at each case if these are few."""
    values = sorted({x for one in series for x, _ in one.points})
    places = tuple((value, _short(value)) for value in values) if len(values) <= 14 else ()
    return Axis(name.replace("_", " "), log=True, places=places)


def _room(values: Iterable[float]) -> tuple[float, float]:
    """The ends of a logarithmic axis: a factor of four at least, or small differences would look large."""
    found = [value for value in values if value > 0]
    low, high = min(found) / 1.1, max(found) * 1.1
    middle = math.sqrt(low * high)
    return min(low, middle / 2), max(high, middle * 2)


def _shares(points: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]) -> list[float]:
    return [share for by_name in points.values() for found in by_name.values() for share, _ in found]


def _note(device: str, records: Sequence[Record]) -> str:
    """The device; which implementations were wrong or failed, and which have no time at all."""
    timed = {r.implementation for r in records if r.seconds}
    faults = Counter((r.implementation, r.status) for r in records if r.status in ("wrong", "failed"))
    parts = [f"{name}: {status} in {count}" for (name, status), count in sorted(faults.items())]
    rest = {r.implementation for r in records} - timed - {name for name, _ in faults}
    parts += [f"not measured: {', '.join(sorted(rest))}"] if rest else []
    return "; ".join([device, *parts])


def _short(value: float) -> str:
    """`64`, `1k`, `250k`, `0.5`."""
    if value >= 1024 and value % 1024 == 0:
        return f"{value / 1024:g}k" if value < 2**20 else f"{value / 2**20:g}M"
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
