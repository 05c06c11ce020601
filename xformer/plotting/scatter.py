"""A map: points in the plane, of several series, joined where they belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xformer.plotting.shapes import MARKERS, RADIUS, SERIES, Dot, Drawing, Key, Look, Path, Point, Shape, Text

_WIDTH, _HEIGHT, _EDGE, _TITLE = 620, 430, 16, 20
_LETTER, _LINE, _GAP = 5.9, 12.0, 9.0

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Spot:
    """A point of a map; `label` is shown where the pointer rests."""

    x: float
    y: float
    label: str = ""


@dataclass(frozen=True)
class MapChart:
    """Points in the plane, with equal scales and without axes: only distances mean something.

    Each series has a colour and a marker of its own, so that it is told by either.

    Attributes:
        title: of the map.
        series: points by series.
        joins: lines between points.
        names: names of places (x, y), each written beside the points around it where there is room.
    """

    title: str
    series: Mapping[str, Sequence[Spot]]
    joins: Sequence[tuple[Point, Point]] = ()
    names: Sequence[tuple[Point, str]] = field(default=())

    def drawings(self, titled: bool) -> list[Drawing]:
        """The map, laid out; none where there is no point to draw."""
        spots = [spot for one in self.series.values() for spot in one]
        if not spots:
            return []
        top = _EDGE + _TITLE * titled
        place = self._placing(spots, top)
        shapes: list[Shape] = [Text(10, 13, self.title, "head")] if titled and self.title else []
        shapes += [Path((place(*start), place(*end)), "join") for start, end in self.joins]
        looks = {name: Look(f"s{n % SERIES}", n % (len(MARKERS) - 1)) for n, name in enumerate(self.series)}
        dots = [
            Dot(*place(spot.x, spot.y), f"dot {looks[name].style}", spot.label, looks[name].marker or 0)
            for name, found in self.series.items()
            for spot in found
        ]
        # The first series is drawn last, above the others.
        shapes += dots[::-1]
        shapes += self._named(place, dots, shapes, top)
        keys = [Key(name, Look(look.style, look.marker, connected=False)) for name, look in looks.items()]
        return [Drawing(_WIDTH, _HEIGHT + _TITLE * titled, shapes, keys)]

    @staticmethod
    def _placing(spots: Sequence[Spot], top: float) -> _Placing:
        xs, ys = [spot.x for spot in spots], [spot.y for spot in spots]
        wide, high = max(xs) - min(xs), max(ys) - min(ys)
        room = _WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE
        scale = min(room[0] / (wide or 1e-9), room[1] / (high or 1e-9))
        scale = scale if wide or high else 0.0
        middle = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
        return _Placing(middle, scale, (_WIDTH / 2, top + room[1] / 2))

    def _named(
        self, place: _Placing, dots: Sequence[Dot], shapes: Sequence[Shape], top: float
    ) -> list[Shape]:
        """The names, each where it covers no point and no other name, and no line if that can be.

        Those without room are left out.
        """
        taken = [_around((dot.x, dot.y), RADIUS + 1) for dot in dots]
        lines = [
            _around(point, 1.0)
            for one in shapes
            if isinstance(one, Path)
            for point in _along(one.points[0], one.points[1])
        ]
        bounds = (4.0, top - 6.0, _WIDTH - 4.0, top + _HEIGHT - 2 * _EDGE + 6.0)
        found: list[Shape] = []
        for (x, y), name in self.names:
            wide, (left, middle) = _LETTER * len(name), place(x, y)
            free = [
                (start, box)
                for start in _starts(left, middle, wide)
                if _inside(box := (start[0], start[1] - _LINE + 2, start[0] + wide, start[1] + 2), bounds)
                and not any(_overlap(box, other) for other in taken)
            ]
            if free:
                clear = [one for one in free if not any(_overlap(one[1], line) for line in lines)]
                start, box = (clear or free)[0]
                taken.append(box)
                found.append(Text(*start, name, "value"))
        return found


def _starts(left: float, middle: float, wide: float) -> list[Point]:
    """Where a name of this width may begin, the nearest to its place first."""
    return [
        start
        for distance in (_GAP, 2 * _GAP, 3 * _GAP)
        for start in (
            (left + distance, middle + 4),
            (left - distance - wide, middle + 4),
            (left - wide / 2, middle - distance),
            (left - wide / 2, middle + distance + 8),
        )
    ]


def _along(start: Point, end: Point) -> list[Point]:
    """Points of a line, some pixels apart."""
    count = max(1, round(max(abs(end[0] - start[0]), abs(end[1] - start[1])) / 4))
    shares = [number / count for number in range(count + 1)]
    return [(start[0] + s * (end[0] - start[0]), start[1] + s * (end[1] - start[1])) for s in shares]


def _around(point: Point, reach: float) -> Box:
    return point[0] - reach, point[1] - reach, point[0] + reach, point[1] + reach


@dataclass(frozen=True)
class _Placing:
    """From the plane to pixels: equal scales, upwards is up."""

    middle: Point
    scale: float
    centre: Point

    def __call__(self, x: float, y: float) -> Point:
        return (
            self.centre[0] + self.scale * (x - self.middle[0]),
            self.centre[1] - self.scale * (y - self.middle[1]),
        )


def _inside(box: Box, bounds: Box) -> bool:
    return box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
