"""All records as one HTML page: the goals, the pictures, every measurement, every run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.plotting.page import Cell, Column, Section, pictures, table
from xformer.plotting.page import page as html_page
from xformer.plotting.svg import figure_html
from xformer.plotting.ticks import number_text
from xformer.storage.files import atomic_write

from .plots import by_operation, error_figure, is_ours, sweep_figure, sweeps
from .record import Environment, Record, latest

if TYPE_CHECKING:
    from .goals import Outcome

# Columns that rows can be chosen by.
FILTERS = ("device", "operation", "sweep", "dtype", "direction", "implementation", "status")
NUMBERS = ("ms", "cold ms", "launch µs", "rate", "roofline", "peak MiB", "error", "run", "measured")

_INTRODUCTION = (
    "Useful work per second of each kernel beside its peers, on the same machine and the same inputs."
    " A result that is more than twice as far from fp64 as plain PyTorch's counts as wrong and has no time."
    " The dashed line is the roofline, from a large copy and a large matrix product measured in the same run."
)
_RESULTS = (
    "Time is the median of one call, with the quantiles p20 and p80. Cold means that the caches held other"
    " data. Error is the largest difference from fp64 as a multiple of plain PyTorch's."
)


def write_page(records: Sequence[Record], outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the page.

    Args:
        records: of any devices and runs; of each measurement the newest is shown.
        outcomes: what the records say of the goals.
        path: the HTML file.
    """
    with atomic_write(path) as file:
        file.write(page(records, outcomes))


def page(records: Sequence[Record], outcomes: Sequence[Outcome]) -> str:
    """The page as text."""
    shown = latest(records)
    runs = {record.environment.time: record.environment for record in shown}
    rows = [_row(record, list(runs).index(record.environment.time) + 1) for record in shown]
    constant = [name for name in FILTERS if rows and len({row[name].text for row in rows}) == 1]
    # A case's name begins with its sweep.
    hidden = {"sweep", *constant, *(["run"] if len(runs) == 1 else [])}
    common = [rows[0][name].text for name in constant if rows[0][name].text and name != "sweep"]
    results = _table(
        rows, hidden, ["ours" if is_ours(record.implementation) else "" for record in shown], FILTERS
    )
    text = f"{_RESULTS} All rows: {', '.join(common)}." if common else _RESULTS
    return html_page(
        "xformer bench",
        [
            Section("goals", "Goals", _table([_goal(one) for one in outcomes])),
            *_pictures(shown),
            Section("results", "All results", results, text),
            Section("runs", "Runs", _table([_run(where, n) for n, where in enumerate(runs.values(), 1)])),
        ],
        _INTRODUCTION,
    )


def _table(
    rows: Sequence[dict[str, Cell]],
    hidden: Collection[str] = (),
    styles: Sequence[str] = (),
    filters: Sequence[str] | None = None,
) -> str:
    columns = [Column(name, name in NUMBERS, name in hidden) for name in (rows[0] if rows else {})]
    return table(columns, [list(row.values()) for row in rows], styles=styles, filters=filters)


def _row(record: Record, run: int) -> dict[str, Cell]:
    """One measurement, by column."""
    by_flops = bool(record.flops_per_second)
    rate = record.flops_per_second if by_flops else record.bytes_per_second
    prefix, scale = ("T", 1e12) if (rate or 0.0) >= 1e12 else ("G", 1e9)
    shape = ", ".join(f"{name} {value}" for name, value in record.shape.items())
    return {
        "device": Cell(record.environment.device),
        "operation": Cell(record.operation),
        "sweep": Cell(record.sweep),
        "case": Cell(record.case, style="whole long", hint=shape),
        "dtype": Cell(record.dtype),
        "direction": Cell(record.direction),
        "implementation": Cell(record.implementation, style="whole"),
        "status": Cell(record.status, style=f"{record.status} whole"),
        "ms": _time(record.seconds),
        "cold ms": _time(record.cold_seconds),
        "launch µs": _number(record.launch_seconds, 1e-6),
        "rate": _number(rate, scale, f" {prefix}{'FLOP/s' if by_flops else 'B/s'}"),
        "roofline": _number(record.roofline_share, 0.01, " %"),
        "peak MiB": _number(record.peak_bytes, 2**20),
        "error": _number(record.error_multiple, 1.0, "×"),
        "run": _number(run, 1.0),
        "note": Cell(record.note, style="long"),
    }


def _run(where: Environment, number: int) -> dict[str, Cell]:
    """Where and with what a run was made."""
    values = {
        "time": where.time,
        "device": where.device,
        "commit": where.commit + (" and changes" if where.dirty else ""),
        "torch": where.torch,
        "triton": where.triton or "none",
        "python": where.python,
        "CUDA": where.cuda or "",
        "driver": where.driver or "",
        "threads": str(where.threads),
        "clocks, MHz": ", ".join(f"{name} {value:g}" for name, value in where.clocks.items()),
        "peers installed": ", ".join(f"{name} {version}" for name, version in where.peers.items()),
    }
    return {"run": _number(number, 1.0)} | {name: Cell(value) for name, value in values.items()}


def _goal(one: Outcome) -> dict[str, Cell]:
    """A goal and what the records say of it."""
    style = {"met": "met", "not met": "unmet", "not measured": "unmeasured"}[one.result]
    return {
        "goal": Cell(one.goal, style="long"),
        "wanted": Cell(f"{one.sense} {one.wanted:g}", style="whole"),
        "measured": _number(one.measured, 1.0),
        "result": Cell(one.result, style=f"{style} whole"),
        "measure": Cell(one.text, style="long"),
        "device": Cell(one.device or ""),
        "remark": Cell(one.note, style="long"),
    }


def _pictures(records: Sequence[Record]) -> list[Section]:
    """The charts of each device and operation."""
    every = sweeps(records)
    groups = by_operation(records)
    several = len({device for device, _, _ in groups}) > 1
    sections = []
    for number, (device, operation, found) in enumerate(groups, 1):
        figures = [sweep_figure(s) for s in every if (s.device, s.operation) == (device, operation)]
        figures += [errors] if (errors := error_figure(found)) else []
        title = operation.replace("_", " ") + (f", {device}" if several else "")
        sections.append(Section(f"pictures-{number}", title, pictures([figure_html(one) for one in figures])))
    return sections


def _number(value: float | None, scale: float, unit: str = "") -> Cell:
    return Cell("") if value is None else Cell(f"{number_text(value / scale)}{unit}", repr(value))


def _time(seconds: dict[str, float] | None) -> Cell:
    if seconds is None:
        return Cell("")
    low, middle, high = (number_text(seconds[q] * 1e3) for q in ("p20", "p50", "p80"))
    return Cell(middle, repr(seconds["p50"]), detail=f"({low}–{high})")
