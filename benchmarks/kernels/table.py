"""Records as tables in the terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..environment import Environment
from .record import Record

LEGEND = (
    "warm, cold: ms of a call, with warm or overwritten caches; host: µs to start a call; "
    "share: of the roofline; MiB: peak memory; error: that of plain PyTorch is 1"
)


def heading(where: Environment) -> str:
    """The machine, the software, and the meaning of the columns."""
    triton = f"Triton {where.triton}" if where.triton else "no Triton"
    threads = f", {where.threads} CPU threads" if where.kind == "cpu" else ""
    versions = f"torch {where.torch}, {triton}, commit {where.commit}{'+' if where.dirty else ''}"
    return f"{where.device}{threads}, {versions}\n{LEGEND}"


def by_case(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Group consecutive records of one operation, case and dtype, as they come."""
    for _, group in itertools.groupby(records, lambda each: (each.operation, each.case, each.dtype)):
        yield list(group)


def table(records: list[Record]) -> RenderableType:
    """A table with a row for each implementation and direction: times, or why there are none.

    Args:
        records: all records of one case.

    Returns:
        The table, at most 90 columns wide; the fastest of each direction is highlighted.
    """
    if records[0].status == "absent":
        return Group(
            *(Text(f"{each.operation}: no {each.implementation}, {each.note}", "dim") for each in records)
        )
    first = records[0]
    sizes = ", ".join(
        f"{name} {_number(value)}" for name, value in first.shape.items() if value not in (0, False)
    )
    shown = Table(box=SIMPLE_HEAD, padding=0)
    shown.add_column("", no_wrap=True)
    for name in ("warm (p20–p80)", "cold", "host", "rate", "share", "MiB", "error"):
        shown.add_column(name, justify="right", no_wrap=True)
    directions = list(dict.fromkeys(record.direction for record in records))
    for direction in directions:
        group = [record for record in records if record.direction == direction]
        if len(directions) > 1:
            shown.add_section()
            shown.add_row(Text(direction, "italic"))
        best = min((record.seconds["p50"] for record in group if record.seconds), default=0.0)
        for record in group:
            shown.add_row(record.implementation, *_cells(record, best))
    notes = dict.fromkeys(f"{record.implementation}: {record.note}" for record in records if record.note)
    title = Text(f"{first.operation}: {first.case}, {first.dtype}", "bold").append(
        f"  {sizes}", "not bold dim"
    )
    return Group(title, shown, Text("\n".join([*notes, ""]), "dim"))


def _cells(record: Record, best: float) -> list[Text]:
    """Times, rate, share of the roofline, memory, error."""
    error = Text("" if record.error_multiple is None else f"{record.error_multiple:.2f}")
    if record.seconds is None:
        if record.status in ("unsupported", "absent"):
            return [Text("–")]
        return [Text(record.status.upper(), "bold red"), *(Text() for _ in range(5)), error]
    low, middle, high = (short(record.seconds[name] * 1e3) for name in ("p20", "p50", "p80"))
    warm = Text(middle, "bold green" if record.seconds["p50"] == best else "")
    warm.append(f" ({low}–{high})", "dim")
    cold = short(record.cold_seconds["p50"] * 1e3) if record.cold_seconds else ""
    host = "" if record.launch_seconds is None else short(record.launch_seconds * 1e6)
    rate = f"{short(record.flops_per_second)}FLOP/s" if record.flops_per_second else ""
    if not rate and record.bytes_per_second:
        rate = f"{short(record.bytes_per_second)}B/s"
    share = "" if record.roofline_share is None else f"{record.roofline_share:.0%}"
    memory = "" if record.peak_bytes is None else short(record.peak_bytes / 2**20)
    return [warm, Text(cold), Text(host), Text(rate), Text(share), Text(memory), error]


def short(value: float) -> str:
    """Three digits and a suffix: `0.0123`, `4.56`, `789`, `12.3k`."""
    steps = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (0.0, ""))
    limit, suffix = next(step for step in steps if value >= step[0] * 0.9995)
    value /= limit or 1
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3
    return f"{value:.{digits}f}{suffix}"


def _number(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
