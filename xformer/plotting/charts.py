"""Charts as SVG in the page's own colours: lines over time, dots for languages. No library, no script.

Colours are classes (`s0`, `s1`, …) which the page defines for paper and for the dark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from xformer.plotting.ticks import column_digits, log_ticks, number_text, tick_texts, ticks

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 250, 56, 14, 34, 40
_ROW, _VALUE = 15, 44
_COLOURS = 6
_MOST_POINTS = 400


@dataclass(frozen=True)
class Line:
    """One line of a chart: points (x, y); those that are not finite are left out."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Across:
    """A horizontal axis that several charts share.

    Attributes:
        name: what it is.
        ends: its ends; left out, those of the lines.
        whole: marked at whole numbers only.
        marks: places with a name, each a dotted line.
    """

    name: str
    ends: tuple[float, float] | None = None
    whole: bool = False
    marks: tuple[tuple[float, str], ...] = ()


def line_chart(title: str, across: Across, lines: Sequence[Line], *, log: bool = False) -> str:
    """A `<figure>` of lines; nothing where there is no point to draw.

    Args:
        title: above it, with the unit.
        across: the horizontal axis.
        lines: at most six look different.
        log: a logarithmic vertical axis; what is not positive is left out.
    """
    drawn = [Line(line.name, _thinned([p for p in line.points if _drawable(p, log)])) for line in lines]
    drawn = [line for line in drawn if line.points]
    if not drawn:
        return ""
    ys = [math.log10(y) if log else y for line in drawn for _, y in line.points]
    left, right = _room(*(across.ends or _ends(x for line in drawn for x, _ in line.points)), 0.0)
    low, high = _room(*_ends(ys), 0.04)

    def along(x: float) -> float:
        return _LEFT + (x - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)

    def up(y: float) -> float:
        share = ((math.log10(y) if log else y) - low) / (high - low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    levels = log_ticks(low, high) if log else ticks(low, high)
    parts = [
        f'<path class="grid" d="M{_LEFT} {up(y):.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text class="name" x="{_LEFT - 6}" y="{up(y) + 4:.1f}">{text}</text>'
        for y, text in zip(levels, tick_texts(levels), strict=True)
    ]
    places = ticks(left, right, whole=across.whole)
    for x, text in zip(places, tick_texts(places), strict=True):
        parts.append(f'<text class="tick" x="{along(x):.1f}" y="{_HEIGHT - _BOTTOM + 15}">{text}</text>')
    for x, name in across.marks:
        if left <= x <= right:
            shape = f'<path class="mark" d="M{along(x):.1f} {_TOP}V{_HEIGHT - _BOTTOM}">'
            parts.append(f"{shape}<title>{_escape(name)}</title></path>")
    for number, line in enumerate(drawn):
        path = " ".join(f"{along(x):.1f},{up(y):.1f}" for x, y in line.points)
        colour = f"s{number % _COLOURS}"
        label = _escape(f"{line.name}: {number_text(line.points[-1][1])} at the end")
        if len(line.points) == 1:
            x, y = line.points[0]
            shape = f'<circle class="dot {colour}" cx="{along(x):.1f}" cy="{up(y):.1f}" r="3">'
            parts.append(f"{shape}<title>{label}</title></circle>")
        else:
            parts.append(f'<polyline class="line {colour}" points="{path}"><title>{label}</title></polyline>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text class="tick" x="{middle:.0f}" y="{_HEIGHT - 6}">{_escape(across.name)}</text>')
    keys = [f"{line.name} {number_text(line.points[-1][1])}" for line in drawn]
    return _figure(title, _HEIGHT, parts, keys)


def dot_chart(
    title: str,
    values: Mapping[str, Mapping[str, float]],
    *,
    best: Literal["high", "low"] = "high",
    log: bool = False,
) -> str:
    """A `<figure>` with a row for each language and a dot for each series; the first series sorts the rows,
    and has its numbers beside them.

    Args:
        title: above it, with the unit.
        values: by series, then by language; a language may be missing in a series.
        best: which end of the first series is at the top.
        log: a logarithmic axis; what is not positive is left out.
    """
    series = {
        name: {tag: value for tag, value in row.items() if _drawable((0.0, value), log)}
        for name, row in values.items()
    }
    series = {name: row for name, row in series.items() if row}
    if not series:
        return ""
    order, sign = next(iter(series.values())), -1.0 if best == "high" else 1.0
    tags = sorted(
        {tag for row in series.values() for tag in row},
        key=lambda tag: (tag not in order, sign * order.get(tag, 0.0), tag),
    )
    low, high = _ends(math.log10(x) if log else x for row in series.values() for x in row.values())
    low, high = _room(low, high, 0.04)
    digits = column_digits(order.values())
    left, height = _LEFT + 24, _TOP + _ROW * len(tags) + 24
    right = _WIDTH - _RIGHT - _VALUE

    def across(value: float) -> float:
        return left + ((math.log10(value) if log else value) - low) / (high - low) * (right - left)

    parts = []
    levels = log_ticks(low, high) if log else ticks(low, high)
    for tick, text in zip(levels, tick_texts(levels), strict=True):
        x, bottom = across(tick), height - 20
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 6}">{text}</text>')
    for row, tag in enumerate(tags):
        y = _TOP + _ROW * row + _ROW / 2
        parts.append(f'<text class="name" x="{left - 10}" y="{y + 4:.1f}">{_escape(tag)}</text>')
        found = [(number, name, one[tag]) for number, (name, one) in enumerate(series.items()) if tag in one]
        ends = [across(value) for _, _, value in found]
        parts.append(f'<path class="span" d="M{min(ends):.1f} {y:.1f}H{max(ends):.1f}"/>')
        for number, name, value in reversed(found):
            label = _escape(f"{tag}, {name}: {number_text(value)}")
            shape = f'<circle class="dot s{number % _COLOURS}" cx="{across(value):.1f}" cy="{y:.1f}" r="3.4">'
            parts.append(f"{shape}<title>{label}</title></circle>")
        if tag in order:
            where = f'x="{_WIDTH - _RIGHT}" y="{y + 4:.1f}"'
            parts.append(f'<text class="name value" {where}>{order[tag]:,.{digits}f}</text>')
    return _figure(title, height, parts, list(series) if len(series) > 1 else [])


def _figure(title: str, height: int, parts: Iterable[str], keys: Sequence[str]) -> str:
    """The drawing with its title and its legend."""
    legend = ""
    if keys:
        marked = (
            f'<span class="key s{number % _COLOURS}">{_escape(name)}</span>'
            for number, name in enumerate(keys)
        )
        legend = f'<div class="legend">{"".join(marked)}</div>'
    drawing = (
        f'<svg viewBox="0 {_TOP - 10} {_WIDTH} {height - _TOP + 10}" role="img"'
        f' aria-label="{_escape(title)}">{"".join(parts)}</svg>'
    )
    return f"<figure><figcaption>{_escape(title)}</figcaption>{drawing}{legend}</figure>"


def _drawable(point: tuple[float, float], log: bool) -> bool:
    return all(map(math.isfinite, point)) and (not log or point[1] > 0)


def _ends(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    return min(found), max(found)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most so many points: the means of neighbours, x and y."""
    size = math.ceil(len(points) / _MOST_POINTS)
    if size <= 1:
        return list(points)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def _room(low: float, high: float, share: float) -> tuple[float, float]:
    """An interval that is not empty, with some room at both ends."""
    if high <= low:
        return low - 0.5, low + 0.5
    return low - share * (high - low), high + share * (high - low)


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
