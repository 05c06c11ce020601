"""All records as one page: a file that opens anywhere, with nothing beside it and nothing fetched."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.storage.files import atomic_write

from .drawing import PLACEHOLDER_INK, is_ours, svg
from .latest import latest
from .plots import Sweep, by_operation, can_draw, draw_errors, draw_sweep, sweeps
from .record import Environment, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .goals import Outcome


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        name: of its column.
        text: what is shown, as HTML.
        value: what it is sorted and filtered by; empty where there is none.
        number: whether that is a number.
        style: a class of its text.
    """

    name: str
    text: str
    value: str
    number: bool = False
    style: str = ""

    def to_html(self) -> str:
        """`<td>`."""
        kinds = " ".join(
            filter(None, ("number" if self.number else "", "" if self.text else "empty", self.style))
        )
        named = f' class="{kinds}"' if kinds else ""
        return (
            f'<td{named} data-name="{_escape(self.name)}" data-value="{_escape(self.value)}">{self.text}</td>'
        )


# Columns that a row can be chosen by.
FILTERS = ("device", "operation", "sweep", "dtype", "direction", "implementation", "status")


def write_page(records: Sequence[Record], outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the page of all results.

    Args:
        records: of any devices and runs; of each measurement the newest is shown.
        outcomes: what became of the goals.
        path: the HTML file.
    """
    with atomic_write(path) as file:
        file.write(page(records, outcomes))


def page(records: Sequence[Record], outcomes: Sequence[Outcome]) -> str:
    """The page as text. Pictures are left out where matplotlib is not installed."""
    shown = latest(records)
    runs = list(dict.fromkeys(record.environment.time for record in shown))
    rows = [_row(record, runs.index(record.environment.time) + 1) for record in shown]
    rows, common = _set_aside(rows)
    heads = rows[0] if rows else []
    first_of_runs = [next(r.environment for r in shown if r.environment.time == time) for time in runs]
    run_rows = [_run(where, number) for number, where in enumerate(first_of_runs, 1)]
    pictures, links = _pictures(shown)
    parts = {
        "nav": "".join(
            f'<a href="#{anchor}">{_escape(title)}</a>'
            for anchor, title in [("goals", "Goals"), *links, ("results", "All results"), ("runs", "Runs")]
        ),
        "goals": _goals(outcomes),
        "pictures": pictures,
        "filters": "".join(_filter(rows, name) for name in FILTERS),
        "common": f"All rows: {_escape(', '.join(common))}." if common else "",
        "heads": "".join(_head(cell, sortable=True) for cell in heads),
        "rows": "\n".join(
            f"<tr{' class=ours' if is_ours(record.implementation) else ''}>{_cells(row)}</tr>"
            for record, row in zip(shown, rows, strict=True)
        ),
        "run_heads": "".join(_head(cell, sortable=False) for cell in (run_rows[0] if run_rows else [])),
        "runs": "\n".join(f"<tr>{_cells(row)}</tr>" for row in run_rows),
    }
    template = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    # In one pass, so that text which looks like a place to fill stays text.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _row(record: Record, run: int) -> list[Cell]:
    """One measurement, in the order of the columns."""
    by_flops = bool(record.flops_per_second)
    rate = record.flops_per_second if by_flops else record.bytes_per_second
    large = (rate or 0.0) >= 1e12
    scale = 1e12 if large else 1e9
    unit = f"{'T' if large else 'G'}{'FLOP/s' if by_flops else 'B/s'}"
    shape = ", ".join(f"{name} {value}" for name, value in record.shape.items())
    case = f'<span title="{_escape(shape)}">{_escape(record.case)}</span>' if record.case else ""
    return [
        _text("device", record.environment.device),
        _text("operation", record.operation),
        _text("sweep", record.sweep),
        Cell("case", case, record.case),
        _text("dtype", record.dtype),
        _text("direction", record.direction),
        _text("implementation", record.implementation),
        Cell("status", _escape(record.status), record.status, style=record.status),
        _time("ms", record.seconds),
        _time("cold ms", record.cold_seconds),
        _number("launch µs", record.launch_seconds, 1e-6),
        _number("rate", rate, scale, f" {unit}"),
        _number("roofline", record.roofline_share, 0.01, " %"),
        _number("peak MiB", record.peak_bytes, 2**20),
        _number("error", record.error_multiple, 1.0, "×"),
        _number("run", run, 1.0),
        _text("note", record.note),
    ]


def _set_aside(rows: list[list[Cell]]) -> tuple[list[list[Cell]], list[str]]:
    """Hide columns that say the same in every row, and the sweep, which a case's name begins with.

    Returns:
        The rows, and what all of them say.
    """
    columns = [[row[number] for row in rows] for number in range(len(rows[0]))] if rows else []
    same = {
        column[0].name: column[0].value for column in columns if len({cell.value for cell in column}) == 1
    }
    constant = [name for name in FILTERS if name in same]
    aside = {"sweep", "run", *constant} if "run" in same else {"sweep", *constant}
    hidden = [
        [replace(cell, style=f"{cell.style} aside".strip()) if cell.name in aside else cell for cell in row]
        for row in rows
    ]
    return hidden, [same[name] for name in constant if same[name] and name != "sweep"]


def _run(where: Environment, number: int) -> list[Cell]:
    """Where and with what a run was made."""
    clocks = ", ".join(f"{name} {value:g}" for name, value in where.clocks.items())
    peers = ", ".join(f"{name} {version}" for name, version in where.peers.items())
    commit = where.commit + (" and changes" if where.dirty else "")
    values = {
        "time": where.time,
        "device": where.device,
        "commit": commit,
        "torch": where.torch,
        "triton": where.triton or "none",
        "python": where.python,
        "CUDA": where.cuda or "",
        "driver": where.driver or "",
        "threads": str(where.threads),
        "clocks, MHz": clocks,
        "peers installed": peers,
    }
    return [_number("run", number, 1.0), *(_text(name, value) for name, value in values.items())]


def _goals(outcomes: Sequence[Outcome]) -> str:
    """The goals and what became of them."""
    rows = []
    for one in outcomes:
        state = "met" if one.met else "unmeasured" if one.measured is None else "unmet"
        cells = [
            _text("goal", one.goal),
            _text("wanted", f"{one.sense} {one.wanted:g}"),
            _number("measured", one.measured, 1.0),
            Cell(
                "result",
                {"met": "met", "unmet": "not met", "unmeasured": "not measured"}[state],
                state,
                style=state,
            ),
            _text("of what", one.text),
            _text("device", one.device or ""),
            _text("remark", one.note),
        ]
        rows.append(cells)
    heads = "".join(_head(cell, sortable=False) for cell in (rows[0] if rows else []))
    body = "\n".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    table = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    return f'<section id="goals"><h2>Goals</h2>{table}</section>'


def _pictures(records: Sequence[Record]) -> tuple[str, list[tuple[str, str]]]:
    """A section of pictures for each device and operation, and the links to them."""
    if not can_draw():
        return "<p>No pictures: matplotlib is not installed.</p>", []
    all_sweeps = sweeps(records)
    devices = {device for device, _, _ in by_operation(records)}
    sections, links = [], []
    for number, (device, operation, several) in enumerate(by_operation(records), 1):
        drawn = [
            _figure(draw_sweep(one, PLACEHOLDER_INK), one.title) for one in _of(all_sweeps, device, operation)
        ]
        errors = draw_errors(several, PLACEHOLDER_INK)
        if errors is not None:
            drawn.append(_figure(errors, f"{operation}: error against speed"))
        if not drawn:
            continue
        title = operation.replace("_", " ") + (f", {device}" if len(devices) > 1 else "")
        links.append((f"pictures-{number}", title))
        inner = "\n".join(drawn)
        heading = f"<h2>{_escape(title)}</h2>"
        sections.append(
            f'<section id="pictures-{number}">{heading}<div class="pictures">{inner}</div></section>'
        )
    return "\n".join(sections), links


def _of(all_sweeps: Sequence[Sweep], device: str, operation: str) -> list[Sweep]:
    return [one for one in all_sweeps if (one.device, one.operation) == (device, operation)]


def _figure(figure: Figure, title: str) -> str:
    """The picture as an element that is as wide as its panels want, and narrower where there is no room."""
    opening, rest = svg(figure).split(">", 1)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    inches = figure.get_size_inches()[0]
    size = f"width:{inches * 5.2:.1f}rem;min-width:{inches * 3.6:.1f}rem"
    return f'<figure>{opening} role="img" aria-label="{_escape(title)}" style="{size}">{rest}</figure>'


def _filter(rows: Sequence[Sequence[Cell]], name: str) -> str:
    """A choice among the values of a column; nothing where there is no choice."""
    column = (
        next((number for number, cell in enumerate(rows[0]) if cell.name == name), None) if rows else None
    )
    if column is None:
        return ""
    values = sorted({row[column].value for row in rows} - {""})
    if len(values) < 2:
        return ""
    options = "".join(f'<option value="{_escape(value)}">{_escape(value)}</option>' for value in values)
    choice = f'<select data-column="{column}"><option value="">all</option>{options}</select>'
    return f"<label>{_escape(name)}{choice}</label>\n"


def _head(cell: Cell, *, sortable: bool) -> str:
    """The head of a cell's column."""
    name = _escape(cell.name)
    inner = f'<button type="button">{name}</button>' if sortable else name
    fits = (("number", cell.number), ("aside", "aside" in cell.style))
    kinds = " ".join(kind for kind, is_so in fits if is_so)
    return f'<th scope="col" class="{kinds}">{inner}</th>'


def _cells(row: Sequence[Cell]) -> str:
    return "".join(cell.to_html() for cell in row)


def _text(name: str, text: str) -> Cell:
    return Cell(name, _escape(text), text)


def _number(name: str, value: float | None, scale: float, unit: str = "") -> Cell:
    if value is None:
        return Cell(name, "", "", number=True)
    return Cell(name, f"{_short(value / scale)}{unit}", repr(value), number=True)


def _time(name: str, seconds: dict[str, float] | None) -> Cell:
    if seconds is None:
        return Cell(name, "", "", number=True)
    low, middle, high = (_short(seconds[q] * 1e3) for q in ("p20", "p50", "p80"))
    text = f'{middle} <span class="range">({low}–{high})</span>'
    return Cell(name, text, repr(seconds["p50"]), number=True)


def _short(value: float) -> str:
    """Three digits, and no exponent where people would not write one."""
    if 1000 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
