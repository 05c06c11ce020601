"""Records as pictures: throughput along each sweep, and error against speed.

A figure takes the colour of its text from outside, so that one picture suits paper and a dark page alike.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xformer.files import atomic_write

from .latest import latest
from .record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS = "#2f7bf5"
PEERS = ("#e8820c", "#2aa46a", "#cf4a9b", "#8d72ea", "#c25a45", "#2f9fbd", "#98922c", "#8a8a8a")
MARKERS = "osD^vPX*<>"
DIRECTIONS = ("forward", "backward", "forward+backward")

# What grows along a sweep, where several numbers of its shapes do.
GROWS = ("max_length", "length", "width", "d_model", "vocabulary", "n_tokens", "n_rows", "n_sequences")

# Useful operations for each byte below which bandwidth is the better unit: H100s turn at about 270.
COMPUTE_BOUND = 32.0

# A colour that nobody else uses, so that it can be exchanged for the page's own in an SVG.
PLACEHOLDER_INK = "#010203"


@dataclass(frozen=True)
class Sweep:
    """The records of one sweep on one device in one dtype, the newest of each measurement.

    Attributes:
        device: where it was measured.
        operation: of what.
        name: the sweep's.
        dtype: of the inputs.
        records: all of them, also those without a time.
    """

    device: str
    operation: str
    name: str
    dtype: str
    records: tuple[Record, ...]

    @property
    def title(self) -> str:
        """`attention, ragged d64, bfloat16`."""
        return ", ".join(part for part in (self.operation, self.name, self.dtype) if part)

    @property
    def file_name(self) -> str:
        """`nvidia-h100/attention-ragged-d64-bfloat16.png`."""
        return f"{_slug(self.device)}/{_slug(self.title)}.png"


def sweeps(records: Iterable[Record]) -> list[Sweep]:
    """All sweeps in which something was timed, by device, operation and name."""
    grouped: dict[tuple[str, str, str, str], list[Record]] = {}
    for record in latest(records):
        key = (record.environment.device, record.operation, record.sweep, record.dtype)
        grouped.setdefault(key, []).append(record)
    return [
        Sweep(*key, tuple(several))
        for key, several in sorted(grouped.items())
        if any(r.seconds for r in several)
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
    figure, panels = _panels(len(names), ink)
    x_name = growing(sweep.records)
    by_flops = counts_flops(sweep.records)
    looks = _looks(sweep.records)
    for axis, direction in zip(panels, names, strict=True):
        timed = [record for record in sweep.records if record.direction == direction and record.seconds]
        _roof(axis, timed, x_name, by_flops, ink)
        for name, look in looks.items():
            points = sorted(
                (_x(r, x_name), y) for r in timed if r.implementation == name and (y := _rate(r, by_flops))
            )
            if points:
                axis.plot(*zip(*points, strict=True), label=name, **look)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_title(direction, fontsize=10, color=ink)
        axis.set_xlabel(x_name.replace("_", " "), color=ink)
        _plain_ticks(axis, [_x(record, x_name) for record in timed])
    panels[0].set_ylabel("useful TFLOP/s" if by_flops else "useful GB/s", color=ink)
    figure.suptitle(f"{sweep.title}\n{sweep.device}", fontsize=10.5, color=ink)
    _finish(figure, panels, ink, _left_out(sweep.records))
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
    figure, panels = _panels(len(names), ink)
    looks = _looks(records)
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
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_title(direction, fontsize=10, color=ink)
        axis.set_xlabel("speed, as a share of the fastest", color=ink)
        _plain_ticks(axis, [])
    panels[0].set_ylabel("error, in plain PyTorch's", color=ink)
    first = judged[0]
    figure.suptitle(
        f"{first.operation}: error against speed\n{first.environment.device}", fontsize=10.5, color=ink
    )
    _finish(figure, panels, ink, _left_out(records))
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


def png(figure: Figure) -> bytes:
    """The figure as a PNG on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    picture = BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    return picture.getvalue()


def svg(figure: Figure) -> str:
    """The figure, drawn with `PLACEHOLDER_INK`, as an `<svg>` element whose text has the colour around it."""
    import matplotlib

    text = StringIO()
    # Text stays text: a tenth of the size, and it can be searched.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "xformer"}):
        figure.patch.set_alpha(0)
        figure.savefig(
            text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    element = text.getvalue()
    return re.sub(r"\s*\n\s*", "\n", element[element.index("<svg") :]).replace(
        PLACEHOLDER_INK, "currentColor"
    )


def growing(records: Sequence[Record]) -> str:
    """The number in the shapes that grows along a sweep: the one with the most values."""
    values: dict[str, set[float]] = {}
    for record in records:
        for name, value in record.shape.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(name, set()).add(value)
    rank = {name: number for number, name in enumerate(GROWS)}
    return min(values, key=lambda name: (-len(values[name]), rank.get(name, len(GROWS)), name), default="")


def counts_flops(records: Sequence[Record]) -> bool:
    """Whether operations a second say more about a sweep than bytes a second."""
    with_both = [r.flops / r.bytes for r in records if r.flops and r.bytes]
    if with_both:
        return max(with_both) >= COMPUTE_BOUND
    return any(r.flops_per_second for r in records)


def _rate(record: Record, by_flops: bool) -> float | None:
    """TFLOP/s or GB/s."""
    if by_flops:
        return record.flops_per_second / 1e12 if record.flops_per_second else None
    return record.bytes_per_second / 1e9 if record.bytes_per_second else None


def _x(record: Record, name: str) -> float:
    value = record.shape.get(name, 1)
    return float(value) if isinstance(value, int | float) else 1.0


def _roof(axis: Axes, timed: Sequence[Record], x_name: str, by_flops: bool, ink: str) -> None:
    """What this device could do at most, dashed: the rate of anyone over their share of the roofline."""
    roof = {
        _x(r, x_name): rate / r.roofline_share
        for r in timed
        if r.roofline_share and (rate := _rate(r, by_flops)) is not None
    }
    if roof:
        points = sorted(roof.items())
        axis.plot(*zip(*points, strict=True), color=ink, lw=1.0, ls="--", alpha=0.6, label="roofline")


def _looks(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """How each implementation is drawn, ours first: blue, thick and full."""
    names = sorted({r.implementation for r in records if r.seconds}, key=lambda n: (not _is_ours(n), n))
    looks: dict[str, dict[str, Any]] = {}
    peers = ours = 0
    for number, name in enumerate(names):
        if _is_ours(name):
            color, lines, width = OURS, ("-", "--", ":", "-.")[ours % 4], 2.2
            ours += 1
        else:
            color, lines, width = PEERS[peers % len(PEERS)], "-" if peers < len(PEERS) else "--", 1.3
            peers += 1
        looks[name] = {
            "color": color,
            "linestyle": lines,
            "lw": width,
            "marker": MARKERS[number % len(MARKERS)],
            "ms": 4.5,
            "zorder": 3 if _is_ours(name) else 2,
        }
    return looks


def _is_ours(name: str) -> bool:
    return name.startswith("xformer")


def _left_out(records: Sequence[Record]) -> str:
    """Who has no time here at all, and how often others are missing because they were wrong or failed."""
    timed = {r.implementation for r in records if r.seconds}
    faults = Counter((r.implementation, r.status) for r in records if r.status in ("wrong", "failed"))
    parts = [f"{name}: {status} in {count}" for (name, status), count in sorted(faults.items())]
    rest = {r.implementation for r in records} - timed - {name for name, _ in faults}
    parts += [f"not here: {', '.join(sorted(rest))}"] if rest else []
    return "; ".join(parts)


def _panels(count: int, ink: str) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.1 * count + 0.6, 4.4), dpi=130, layout="constrained")
    panels = list(figure.subplots(1, count, squeeze=False, sharey=True)[0])
    for axis in panels:
        axis.patch.set_alpha(0)
        axis.tick_params(colors=ink, which="both", labelsize=8.5)
        axis.spines[["left", "bottom"]].set_color(ink)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color=ink, alpha=0.12, which="major")
    return figure, panels


def _plain_ticks(axis: Axes, places: Sequence[float]) -> None:
    """Numbers as people write them, and a tick at every place that was measured while there is room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    low, high = axis.get_ylim()
    if high / low < 4:  # a narrow range makes mountains of little differences
        middle = math.sqrt(low * high)
        low, high = axis.set_ylim(middle / 2, middle * 2)
    if high / low < 30:  # less than two decades would show one number or two
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.xaxis.set_minor_formatter(NullFormatter())
    ticks = sorted(set(places))
    if 0 < len(ticks) <= 14:
        axis.set_xticks(ticks)
        axis.xaxis.set_minor_locator(NullLocator())
        if len(ticks) > 7:
            axis.tick_params(axis="x", rotation=45)
    elif not ticks:
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))


def _finish(figure: Figure, panels: Sequence[Axes], ink: str, note: str) -> None:
    """One legend for all panels below them, and what is missing."""
    handles: dict[str, Any] = {}
    for axis in panels:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    legend = figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=min(len(handles), 2 + len(panels)),
        frameon=False,
        fontsize=8.5,
        labelcolor=ink,
        title=note or None,
        title_fontsize=8,
    )
    legend.get_title().set_color(ink)


def _short(value: float) -> str:
    """`64`, `1k`, `250k`, `0.5`."""
    if value >= 1024 and value % 1024 == 0:
        return f"{value / 1024:g}k" if value < 2**20 else f"{value / 2**20:g}M"
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
