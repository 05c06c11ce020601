"""Charts as SVG in the page's own colours: lines over time, dots for languages. No library, no script.

Colours are classes (`s0`, `s1`, …) which the page defines for paper and for the dark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 250, 56, 12, 34, 40
_COLOURS = 6
_MOST_POINTS = 400


@dataclass(frozen=True)
class Line:
    """One line of a chart: points (x, y); those that are not finite are left out."""

    name: str
    points: Sequence[tuple[float, float]]


def line_chart(title: str, across: str, lines: Sequence[Line], *, log: bool = False) -> str:
    """A `<figure>` of lines; nothing where there is no point to draw.

    Args:
        title: above it, with the unit.
        across: what the horizontal axis is.
        lines: at most six look different.
        log: a logarithmic vertical axis; what is not positive is left out.
    """
    drawn = [Line(line.name, _thinned([p for p in line.points if _drawable(p, log)])) for line in lines]
    drawn = [line for line in drawn if line.points]
    if not drawn:
        return ""
    xs = [x for line in drawn for x, _ in line.points]
    ys = [math.log10(y) if log else y for line in drawn for _, y in line.points]
    left, right = _room(min(xs), max(xs), 0.0)
    low, high = _room(min(ys), max(ys), 0.04)

    def along(x: float) -> float:
        return _LEFT + (x - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)

    def up(y: float) -> float:
        share = ((math.log10(y) if log else y) - low) / (high - low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    marks = _log_ticks(low, high) if log else _ticks(low, high)
    parts = [_grid_line(up(y), _number(y)) for y in marks]
    for x in _ticks(left, right):
        parts.append(
            f'<text class="tick" x="{along(x):.1f}" y="{_HEIGHT - _BOTTOM + 15}">{_number(x)}</text>'
        )
    for number, line in enumerate(drawn):
        path = " ".join(f"{along(x):.1f},{up(y):.1f}" for x, y in line.points)
        colour = f"s{number % _COLOURS}"
        label = _escape(f"{line.name}: {_number(line.points[-1][1])} at the end")
        if len(line.points) == 1:
            x, y = line.points[0]
            shape = f'<circle class="dot {colour}" cx="{along(x):.1f}" cy="{up(y):.1f}" r="3">'
            parts.append(f"{shape}<title>{label}</title></circle>")
        else:
            parts.append(f'<polyline class="line {colour}" points="{path}"><title>{label}</title></polyline>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text class="tick" x="{middle:.0f}" y="{_HEIGHT - 6}">{_escape(across)}</text>')
    return _figure(title, _WIDTH, _HEIGHT, parts, [line.name for line in drawn])


def dot_chart(title: str, values: Mapping[str, Mapping[str, float]], *, first: str | None = None) -> str:
    """A `<figure>` with a row for each language and a dot for each series, the largest at the top.

    Args:
        title: above it, with the unit.
        values: by series, then by language; a language may be missing in a series.
        first: the series that rows are sorted by; left out, the first one.
    """
    series = {
        name: {tag: value for tag, value in row.items() if math.isfinite(value)}
        for name, row in values.items()
    }
    series = {name: row for name, row in series.items() if row}
    if not series:
        return ""
    order = series.get(first or next(iter(series)), {})
    tags = sorted({tag for row in series.values() for tag in row}, key=lambda t: (-order.get(t, -1e99), t))
    everything = [value for row in series.values() for value in row.values()]
    low, high = _room(min(0.0, *everything), max(everything), 0.02)
    step, inner = 15, _WIDTH - _LEFT - _RIGHT - 24
    height = _TOP + step * len(tags) + 24

    def across(value: float) -> float:
        return _LEFT + 24 + (value - low) / (high - low) * inner

    parts = []
    for tick in _ticks(low, high):
        x, bottom = across(tick), height - 20
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 6}">{_number(tick)}</text>')
    for row, tag in enumerate(tags):
        y = _TOP + step * row + step / 2
        parts.append(f'<text class="name" x="{_LEFT + 14}" y="{y + 4:.1f}">{_escape(tag)}</text>')
        found = [(number, name, one[tag]) for number, (name, one) in enumerate(series.items()) if tag in one]
        ends = [across(value) for _, _, value in found]
        parts.append(f'<path class="span" d="M{min(ends):.1f} {y:.1f}H{max(ends):.1f}"/>')
        for number, name, value in reversed(found):
            label = _escape(f"{tag}, {name}: {_number(value)}")
            shape = f'<circle class="dot s{number % _COLOURS}" cx="{across(value):.1f}" cy="{y:.1f}" r="3.4">'
            parts.append(f"{shape}<title>{label}</title></circle>")
    return _figure(title, _WIDTH, height, parts, list(series))


def _figure(title: str, width: int, height: int, parts: Sequence[str], names: Sequence[str]) -> str:
    """The drawing with its title and, where there is more than one series, its legend."""
    legend = ""
    if len(names) > 1:
        keys = (
            f'<span class="key s{number % _COLOURS}">{_escape(name)}</span>'
            for number, name in enumerate(names)
        )
        legend = f'<div class="legend">{"".join(keys)}</div>'
    drawing = (
        f'<svg viewBox="0 {_TOP - 10} {width} {height - _TOP + 10}" role="img" aria-label="{_escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
    return f"<figure><figcaption>{_escape(title)}</figcaption>{drawing}{legend}</figure>"


def _grid_line(y: float, text: str) -> str:
    line = f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
    return f'{line}<text class="name" x="{_LEFT - 6}" y="{y + 4:.1f}">{text}</text>'


def _drawable(point: tuple[float, float], log: bool) -> bool:
    return all(map(math.isfinite, point)) and (not log or point[1] > 0)


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


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers in an interval."""
    step = 10.0 ** math.floor(math.log10(high - low))
    size = next(step * part for part in (0.1, 0.2, 0.5, 1.0, 2.0) if (high - low) / (step * part) <= 6)
    first = math.ceil(low / size - 1e-9)
    return [number * size for number in range(first, math.floor(high / size + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between 10^low and 10^high: 1, 2, 5, 10, …, or powers of ten where these are many."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    leading = (1, 2, 5) if high - low <= 2 else (1,)
    numbers = [digit * 10.0**power for power in powers for digit in leading]
    return [number for number in numbers if low <= math.log10(number) <= high]


def _number(value: float) -> str:
    """Three digits, and no exponent where people would not write one."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
