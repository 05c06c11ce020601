"""Charts: lines along an axis, and a dot a row. They say what to show, and lay it out as shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from xformer.plotting.shapes import SERIES, Dot, Drawing, Key, Look, Path, Point, Shape, Text
from xformer.plotting.ticks import column_digits, log_ticks, number_text, tick_texts, ticks

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 236, 56, 14, 10, 40
_TITLE, _ROW, _VALUE, _LETTER = 20, 15, 44, 6.4
_MOST_POINTS = 400
_MOST_ROWS, _MOST_PARTS = 20, 3


@dataclass(frozen=True)
class Axis:
    """An axis, which several charts may share.

    Attributes:
        name: what it measures.
        ends: its ends; left out, those of what is drawn.
        log: logarithmic; what is not positive is left out.
        whole: has ticks at whole numbers only.
        places: values and texts of its ticks; left out, round numbers.
        marks: values with a name, each a dotted line across the chart.
    """

    name: str = ""
    ends: tuple[float, float] | None = None
    log: bool = False
    whole: bool = False
    places: tuple[tuple[float, str], ...] = ()
    marks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Series:
    """One line of a chart: points (x, y); those that are not finite are left out."""

    name: str
    points: Sequence[Point]
    look: Look | None = None


class _Scale:
    """From the values along an axis to pixels between `start` and `stop`."""

    def __init__(self, axis: Axis, values: Iterable[float], start: float, stop: float) -> None:
        self._axis, self._start, self._stop = axis, start, stop
        low, high = axis.ends or _ends(values)
        if axis.log:
            low, high = math.log10(low), math.log10(high)
        if high <= low:
            low, high = low - 0.5, high + 0.5
        elif axis.ends is None:
            low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
        self._low, self._high = low, high

    def __call__(self, value: float) -> float:
        share = ((math.log10(value) if self._axis.log else value) - self._low) / (self._high - self._low)
        return self._start + share * (self._stop - self._start)

    def ticks(self) -> list[tuple[float, str]]:
        """Places in pixels, and their texts."""
        if self._axis.places:
            return [(self(value), text) for value, text in self._axis.places]
        find = log_ticks if self._axis.log else ticks
        values = ticks(self._low, self._high, whole=True) if self._axis.whole else find(self._low, self._high)
        return [(self(value), text) for value, text in zip(values, tick_texts(values), strict=True)]

    def marks(self) -> list[tuple[float, str]]:
        """Places in pixels of the marks that lie on the axis, and their names."""
        found = [(self(value), name) for value, name in self._axis.marks]
        low, high = sorted((self._start, self._stop))
        return [(place, name) for place, name in found if low <= place <= high]


@dataclass(frozen=True)
class LineChart:
    """Lines along a horizontal axis.

    Attributes:
        title: of the chart, with the unit.
        x: the horizontal axis.
        y: the vertical axis. Its name is not drawn: the title has the unit.
        series: the lines; at most nine have colours of their own.
        lasts: whether the legend has each line's last value.
    """

    title: str
    x: Axis
    series: Sequence[Series]
    y: Axis = field(default=Axis())
    lasts: bool = False

    def drawings(self, titled: bool) -> list[Drawing]:
        """The chart, laid out; none where there is no point to draw."""
        points = {one.name: [p for p in one.points if _drawable(p, self.x, self.y)] for one in self.series}
        looks = {one.name: one.look or Look.number(n) for n, one in enumerate(self.series)}
        points = {name: _thinned(found) for name, found in points.items() if found}
        if not points:
            return []
        top = _TOP + _TITLE * titled
        left, right, bottom = _LEFT, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM + _TITLE * titled
        along = _Scale(self.x, (x for found in points.values() for x, _ in found), left, right)
        up = _Scale(self.y, (y for found in points.values() for _, y in found), bottom, top)
        shapes: list[Shape] = [Text(left, 13, self.title, "head")] if titled and self.title else []
        for y, text in up.ticks():
            shapes += [Path(((left, y), (right, y)), "grid"), Text(left - 6, y + 4, text, "name")]
        free = 0.0
        for x, text in along.ticks():
            if x - _LETTER / 2 * len(text) >= free:
                shapes.append(Text(x, bottom + 15, text, "tick"))
                free = x + _LETTER / 2 * len(text) + 4
        shapes += [Path(((x, top), (x, bottom)), "mark", name) for x, name in along.marks()]
        shapes += [Path(((left, y), (right, y)), "mark", name) for y, name in up.marks()]
        shapes.append(Text((left + right) / 2, bottom + 34, self.x.name, "tick"))
        lasts = {name: number_text(found[-1][1]) for name, found in points.items()}
        # The first series is drawn last, above the others.
        for name, found in reversed(points.items()):
            look = looks[name]
            if look.connected and len(found) > 1:
                places = [(along(x), up(y)) for x, y in found]
                shapes.append(Path(places, f"line {look.style}", f"{name}: {lasts[name]} at the end"))
            if look.marker is not None or len(found) == 1:
                for x, y in found:
                    label = f"{name}: {number_text(y)} at {number_text(x)}"
                    shapes.append(Dot(along(x), up(y), f"dot {look.style}", label, look.marker or 0))
        keys = [Key(f"{name} {lasts[name]}" if self.lasts else name, looks[name]) for name in points]
        return [Drawing(_WIDTH, _HEIGHT + _TITLE * titled, shapes, keys)]


@dataclass(frozen=True)
class DotChart:
    """A row for each language, or whatever else, and a dot in it for each series.

    The numbers of the first series stand beside the rows. Many rows are laid out in two or three columns.
    With at most three series, a bar joins the dots of the first two.

    Attributes:
        title: of the chart, with the unit.
        values: by series, then by row; a row may be missing in a series.
        axis: the horizontal axis.
        best: which end of the first series is at the top; None leaves the rows in their order.
        means: of some series, each a dotted line, named in the legend.
        looks: of some series; the others have circles in colours of their own.
    """

    title: str
    values: Mapping[str, Mapping[str, float]]
    axis: Axis = field(default=Axis())
    best: Literal["high", "low"] | None = "high"
    means: Mapping[str, float] = field(default_factory=dict)
    looks: Mapping[str, Look] = field(default_factory=dict)

    def drawings(self, titled: bool) -> list[Drawing]:
        """The chart in columns of equal height; none where there is no dot to draw."""
        series = {
            name: {row: value for row, value in one.items() if _drawable((0.0, value), Axis(), self.axis)}
            for name, one in self.values.items()
        }
        series = {name: one for name, one in series.items() if one}
        if not series:
            return []
        rows = list(dict.fromkeys(row for one in series.values() for row in one))
        if self.best is not None:
            order, sign = next(iter(series.values())), -1.0 if self.best == "high" else 1.0
            rows.sort(key=lambda row: (row not in order, sign * order.get(row, 0.0), row))
        parts = min(_MOST_PARTS, math.ceil(len(rows) / _MOST_ROWS))
        size = math.ceil(len(rows) / parts)
        return [
            self._part(
                series, rows[start : start + size], size, self.title if titled and not start else "", titled
            )
            for start in range(0, len(rows), size)
        ]

    def _part(
        self,
        series: Mapping[str, Mapping[str, float]],
        rows: Sequence[str],
        size: int,
        title: str,
        titled: bool,
    ) -> Drawing:
        """Some of the rows, with room for `size` of them."""
        looks = {name: self.looks.get(name, Look(f"s{n % SERIES}", 0)) for n, name in enumerate(series)}
        first = next(iter(series.values()))
        digits = column_digits(first.values())
        top = _TOP + _TITLE * titled
        bottom = top + _ROW * size
        left = max(_LEFT + 24, 16 + _LETTER * max(map(len, rows)))
        right = _WIDTH - _RIGHT - _VALUE
        values = [value for one in series.values() for value in one.values()]
        along = _Scale(self.axis, [*values, *self.means.values()], left, right)
        shapes: list[Shape] = [Text(10, 13, title, "head")] if title else []
        for x, text in along.ticks():
            shapes += [Path(((x, top), (x, bottom)), "grid"), Text(x, bottom + 14, text, "tick")]
        for name, mean in self.means.items():
            line = ((along(mean), top), (along(mean), bottom))
            shapes.append(Path(line, f"mean {looks[name].style}", f"{name}, mean: {number_text(mean)}"))
        for number, row in enumerate(rows):
            y = top + _ROW * (number + 0.5)
            shapes += [Text(left - 10, y + 4, row, "name"), Path(((left, y), (right, y)), "grid")]
            found = {name: along(one[row]) for name, one in series.items() if row in one}
            if len(pair := list(found.values())[:2]) == 2 and len(series) <= 3:
                shapes.append(Path([(x, y) for x in pair], "span"))
            for name, x in reversed(found.items()):
                label = f"{row}, {name}: {number_text(series[name][row])}"
                shapes.append(Dot(x, y, f"dot {looks[name].style}", label, looks[name].marker or 0))
            if row in first:
                shapes.append(Text(_WIDTH - _RIGHT, y + 4, f"{first[row]:,.{digits}f}", "name value"))
        keys = [
            Key(
                f"{name}, mean {self.means[name]:,.{digits}f}" if name in self.means else name,
                replace(look, connected=False),
            )
            for name, look in looks.items()
        ]
        return Drawing(_WIDTH, bottom + 22, shapes, keys if len(keys) > 1 else ())


class Chart(Protocol):
    """What a figure shows: `LineChart`, `DotChart`, `xformer.plotting.scatter.MapChart`."""

    @property
    def title(self) -> str:
        """Of the chart, with the unit."""

    def drawings(self, titled: bool) -> list[Drawing]:
        """The chart, laid out; none where there is nothing to draw."""


@dataclass(frozen=True)
class Figure:
    """Charts beside each other under one title, with one legend.

    Attributes:
        charts: what is shown.
        title: above all of them; left out, that of the only chart. The title of one among several is its own.
        note: below them.
        legend: whether the series are named.
        columns: charts beside each other in a file, at most; a page breaks its lines by itself.
    """

    charts: Sequence[Chart]
    title: str = ""
    note: str = ""
    legend: bool = True
    columns: int = 3

    @property
    def caption(self) -> str:
        """The title of the whole."""
        return self.title or (self.charts[0].title if len(self.charts) == 1 else "")

    def drawings(self) -> list[Drawing]:
        """The charts that have something to draw, laid out."""
        titled = bool(self.title) or len(self.charts) > 1
        return [drawing for chart in self.charts for drawing in chart.drawings(titled)]

    def keys(self, drawings: Iterable[Drawing]) -> list[Key]:
        """The legend: each entry once."""
        return list(dict.fromkeys(key for one in drawings for key in one.keys)) if self.legend else []


def _drawable(point: Point, x: Axis, y: Axis) -> bool:
    return all(
        math.isfinite(value) and (value > 0 or not axis.log)
        for value, axis in zip(point, (x, y), strict=True)
    )


def _ends(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    return min(found), max(found)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most so many points: the means of neighbours, x and y."""
    size = math.ceil(len(points) / _MOST_POINTS)
    if size <= 1:
        return list(points)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
