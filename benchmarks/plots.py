"""Records as pictures: throughput along each sweep, and error against speed."""

from __future__ import annotations

import importlib.util
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xformer.storage.files import atomic_write

from .drawing import finish, looks_of, named_horizontal, panels_of, plain_horizontal, plain_vertical, png
from .latest import latest
from .record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIRECTIONS = ("forward", "backward", "forward+backward")

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
        entrants: implementations that were timed in any sweep of the operation there, so that each looks the
            same in all.
    """

    device: str
    operation: str
    name: str
    dtype: str
    records: tuple[Record, ...]
    entrants: frozenset[str]

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

    def rate(self, record: Record) -> float | None:
        """A record's throughput, or none where it has no time."""
        value = record.flops_per_second if self.by_flops else record.bytes_per_second
        return value / self.scale if value else None


def sweeps(records: Iterable[Record]) -> list[Sweep]:
    """All sweeps in which something was timed, by device, operation and name."""
    grouped: dict[tuple[str, str, str, str], list[Record]] = {}
    entrants: dict[tuple[str, str], set[str]] = {}
    for record in latest(records):
        where = (record.environment.device, record.operation)
        grouped.setdefault((*where, record.sweep, record.dtype), []).append(record)
        if record.seconds:
            entrants.setdefault(where, set()).add(record.implementation)
    return [
        Sweep(*key, tuple(several), frozenset(entrants[key[:2]]))
        for key, several in sorted(grouped.items())
        if any(record.seconds for record in several)
    ]


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw_sweep(sweep: Sweep, ink: str = "black") -> Figure:
    """Throughput against what grows along the sweep: a panel a direction, a line an implementation.

    Args:
        sweep: what to draw.
        ink: colour of text and axes.
    """
    names = [name for name in DIRECTIONS if any(r.direction == name and r.seconds for r in sweep.records)]
    figure, panels = panels_of(len(names), ink)
    along = growing(sweep.records)
    unit = unit_of(sweep.records)
    cases = list(dict.fromkeys(record.case for record in sweep.records if record.case))

    def place(record: Record) -> float:
        return float(cases.index(record.case) if along is None else record.shape[along])

    for axis, direction in zip(panels, names, strict=True):
        timed = [record for record in sweep.records if record.direction == direction and record.seconds]
        for name, look in looks_of(sweep.entrants).items():
            points = sorted((place(r), y) for r in timed if r.implementation == name and (y := unit.rate(r)))
            if points:
                own = look if along is not None else {**look, "linestyle": "none"}
                axis.plot(*zip(*points, strict=True), label=name, **own)
        _roof(axis, timed, place, unit, ink, along is not None)
        axis.set_title(direction, fontsize=10, color=ink)
        if along is None:
            named_horizontal(axis, [case.removeprefix(sweep.name).strip() for case in cases])
        else:
            plain_horizontal(axis, map(place, timed))
            axis.set_xlabel(along.replace("_", " "), color=ink)
    plain_vertical(panels)
    panels[0].set_ylabel(f"useful {unit.name}", color=ink)
    figure.suptitle(f"{sweep.title}\n{sweep.device}", fontsize=10.5, color=ink)
    finish(figure, panels, ink, _left_out(sweep.records))
    return figure


def draw_errors(records: Sequence[Record], ink: str = "black") -> Figure | None:
    """Error against speed: a dot for each implementation in each case, a panel for each direction.

    Speed is a share of the fastest's in the same case; the error a multiple of plain PyTorch's, and beyond
    twice that (dashed) a result counts as wrong and has no speed.

    Args:
        records: of one operation on one device, the newest of each measurement.
        ink: colour of text and axes.

    Returns:
        The figure, or None where nothing has both an error and a time.
    """
    judged = [r for r in records if r.error_multiple and r.best_median]
    names = [name for name in DIRECTIONS if any(r.direction == name for r in judged)]
    if not names:
        return None
    figure, panels = panels_of(len(names), ink)
    looks = looks_of(r.implementation for r in records if r.seconds)
    for axis, direction in zip(panels, names, strict=True):
        here = [record for record in judged if record.direction == direction]
        best: dict[tuple[str, str, str], float] = {}
        for r in here:
            place = (r.sweep, r.case, r.dtype)
            best[place] = min(best.get(place, math.inf), r.best_median or math.inf)
        for name, look in looks.items():
            points = [
                (best[r.sweep, r.case, r.dtype] / (r.best_median or math.inf), r.error_multiple or math.nan)
                for r in here
                if r.implementation == name
            ]
            if points:
                own = {**look, "linestyle": "none", "alpha": 0.75}
                axis.plot(*zip(*points, strict=True), label=name, **own)
        axis.axhline(2.0, color=ink, lw=0.9, ls="--", alpha=0.7)
        axis.axhline(1.0, color=ink, lw=0.6, ls=":", alpha=0.7)
        plain_horizontal(axis)
        axis.set_title(direction, fontsize=10, color=ink)
        axis.set_xlabel("speed, as a share of the fastest", color=ink)
    plain_vertical(panels)
    panels[0].set_ylabel("error, in plain PyTorch's", color=ink)
    first = judged[0]
    figure.suptitle(
        f"{first.operation}: error against speed\n{first.environment.device}", fontsize=10.5, color=ink
    )
    finish(figure, panels, ink, _left_out(records))
    return figure


def write_pictures(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write a PNG for each sweep, and one of error against speed for each operation, a folder a device.

    Args:
        records: of any devices and runs.
        folder: where; folders of the devices' names are made in it.

    Returns:
        The files; none where matplotlib is not installed.
    """
    if not can_draw():
        return []
    figures = [(folder / sweep.file_name, draw_sweep(sweep)) for sweep in sweeps(records)]
    for device, operation, several in by_operation(records):
        figure = draw_errors(several)
        if figure is not None:
            figures.append((folder / _slug(device) / f"{_slug(operation)}-error.png", figure))
    for path, figure in figures:
        with atomic_write(path, "wb") as file:
            file.write(png(figure))
    return [path for path, _ in figures]


def by_operation(records: Iterable[Record]) -> list[tuple[str, str, list[Record]]]:
    """Device, operation and its newest records, in order."""
    grouped: dict[tuple[str, str], list[Record]] = {}
    for record in latest(records):
        grouped.setdefault((record.environment.device, record.operation), []).append(record)
    return [(*key, several) for key, several in sorted(grouped.items())]


def growing(records: Sequence[Record]) -> str | None:
    """The number in the shapes that grows along a sweep; none where cases differ by more than a number.

    So it is with batches of real text: their longest sequence says little of them.
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
    """What says most about a sweep: operations a second, or where memory binds, bytes a second."""
    both = [r.flops / r.bytes for r in records if r.flops and r.bytes]
    by_flops = max(both) >= COMPUTE_BOUND if both else any(r.flops_per_second for r in records)
    if not by_flops:
        return Unit("GB/s", 1e9, False)
    most = max((r.flops_per_second or 0.0 for r in records), default=0.0)
    return Unit("TFLOP/s", 1e12, True) if most >= 1e12 else Unit("GFLOP/s", 1e9, True)


def _roof(
    axis: Axes,
    timed: Sequence[Record],
    place: Callable[[Record], float],
    unit: Unit,
    ink: str,
    connected: bool,
) -> None:
    """What this device could do at most: the rate of anyone over their share of the roofline."""
    roof = {
        place(r): rate / r.roofline_share
        for r in timed
        if r.roofline_share and (rate := unit.rate(r)) is not None
    }
    if roof:
        points = sorted(roof.items())
        look: dict[str, Any] = (
            {"ls": "--"} if connected and len(roof) > 1 else {"ls": "none", "marker": "_", "ms": 24}
        )
        axis.plot(*zip(*points, strict=True), color=ink, lw=1.0, alpha=0.6, label="roofline", **look)


def _left_out(records: Sequence[Record]) -> str:
    """Who has no time here at all, and how often others are missing because they were wrong or failed."""
    timed = {r.implementation for r in records if r.seconds}
    faults = Counter((r.implementation, r.status) for r in records if r.status in ("wrong", "failed"))
    parts = [f"{name}: {status} in {count}" for (name, status), count in sorted(faults.items())]
    rest = {r.implementation for r in records} - timed - {name for name, _ in faults}
    parts += [f"not here: {', '.join(sorted(rest))}"] if rest else []
    return "; ".join(parts)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
