"""The shapes of a laid-out chart: paths, dots and texts, in CSS pixels from the upper left corner.

Colours and strokes are classes: `s0` to `s8` for series, `q0` to `q9` for amounts, `thick`, `dashed`,
`dotted`, `grid` and so on. Pages define them in `page.html`, PNG files in `png.py`; both take the colours
from `COLOURS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

Point = tuple[float, float]

COLOURS = {
    "paper": ("#fff", "#14161a"),
    "card": ("#f6f7f9", "#1c1f25"),
    "ink": ("#16181d", "#e8eaef"),
    "soft": ("#5c6370", "#9aa3b2"),
    "rule": ("#d9dce3", "#333843"),
    "accent": ("#1b62d6", "#74a9ff"),
    "good": ("#17723f", "#5fd08c"),
    "bad": ("#b42318", "#ff8d80"),
    "s0": ("#2f7bf5", "#6ea6ff"),
    "s1": ("#c96a00", "#f2a03d"),
    "s2": ("#1d8a55", "#4cc38a"),
    "s3": ("#b93a86", "#e889c0"),
    "s4": ("#7558d8", "#ab97f5"),
    "s5": ("#b0442f", "#ee8a73"),
    "s6": ("#1f87a6", "#5fbfda"),
    "s7": ("#857f17", "#c9c04a"),
    "s8": ("#777777", "#a5a5a5"),
    "q0": ("#eff6fd", "#162136"),
    "q1": ("#c4e2fe", "#1b335a"),
    "q2": ("#9cccfd", "#1d467d"),
    "q3": ("#78b6f7", "#1e5b9f"),
    "q4": ("#5a9fec", "#2372bc"),
    "q5": ("#4387db", "#328ad4"),
    "q6": ("#3371c5", "#4ba2e7"),
    "q7": ("#2a5ba8", "#6dbaf5"),
    "q8": ("#244887", "#93d2fe"),
    "q9": ("#203663", "#bee8ff"),
}
"""Each colour on a light and on a dark page. `q0` to `q9` go from little to much, told by lightness."""

SERIES = 9
"""How many series have a colour of their own."""

SHADES = 10
"""How many colours there are from little to much."""


@dataclass(frozen=True)
class Path:
    """Points joined by straight lines; `label` is shown where the pointer rests."""

    points: Sequence[Point]
    style: str
    label: str = ""


@dataclass(frozen=True)
class Dot:
    """A filled marker; `marker` counts in `MARKERS`."""

    x: float
    y: float
    style: str
    label: str = ""
    marker: int = 0

    @property
    def outline(self) -> list[Point]:
        """Corners of the marker; none for a circle of radius `RADIUS`."""
        return [(self.x + RADIUS * dx, self.y + RADIUS * dy) for dx, dy in MARKERS[self.marker]]


@dataclass(frozen=True)
class Area:
    """A filled polygon; `label` is shown where the pointer rests."""

    points: Sequence[Point]
    style: str
    label: str = ""

    @classmethod
    def box(cls, x: float, y: float, width: float, height: float, style: str, label: str = "") -> Area:
        """A rectangle by its upper left corner."""
        corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        return cls(corners, style, label)


@dataclass(frozen=True)
class Text:
    """A line of text, anchored at its start, or as the class `tick`, `cell` (middle) or `name` (end) says."""

    x: float
    y: float
    text: str
    style: str


Shape = Path | Dot | Area | Text


@dataclass(frozen=True)
class Look:
    """How a series is drawn.

    Attributes:
        style: classes of its lines and dots.
        marker: of its points; None for none.
        connected: whether a line joins its points.
    """

    style: str
    marker: int | None = None
    connected: bool = True

    @classmethod
    def number(cls, number: int) -> Look:
        """The look of the n-th series by default: a line in its own colour."""
        return cls(f"s{number % SERIES}")


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    text: str
    look: Look

    def swatch(self) -> list[Shape]:
        """A sample of the series, 24 wide and 12 high."""
        shapes: list[Shape] = []
        if self.look.connected:
            shapes.append(Path(((0, 6), (24, 6)), f"line {self.look.style}"))
        if self.look.marker is not None:
            shapes.append(Dot(12, 6, f"dot {self.look.style}", marker=self.look.marker))
        return shapes


@dataclass(frozen=True)
class Drawing:
    """A chart that is laid out."""

    width: float
    height: float
    shapes: Sequence[Shape]
    keys: Sequence[Key] = field(default=())


def moved(shape: Shape, dx: float, dy: float) -> Shape:
    """A shape elsewhere."""
    if isinstance(shape, Path | Area):
        return replace(shape, points=[(x + dx, y + dy) for x, y in shape.points])
    return replace(shape, x=shape.x + dx, y=shape.y + dy)


def _turned(outline: Sequence[Point], degrees: float) -> list[Point]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x * cos - y * sin, x * sin + y * cos) for x, y in outline]


_SQUARE = [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]
_TRIANGLE = [(0.0, -1.2), (1.1, 0.85), (-1.1, 0.85)]
_PLUS = [
    point for turn in range(4) for point in _turned([(-0.35, -1.2), (0.35, -1.2), (0.35, -0.35)], 90 * turn)
]
_STAR = [point for turn in range(5) for point in _turned([(0.0, -1.35), (0.34, -0.47)], 72 * turn)]

RADIUS = 3.4
MARKERS: Sequence[Sequence[Point]] = (
    (),
    _SQUARE,
    _turned(_SQUARE, 45),
    _TRIANGLE,
    _turned(_TRIANGLE, 180),
    _PLUS,
    _turned(_PLUS, 45),
    _STAR,
    _turned(_TRIANGLE, 270),
    _turned(_TRIANGLE, 90),
    [(-0.25, -2.2), (0.25, -2.2), (0.25, 2.2), (-0.25, 2.2)],
)
"""Corners of each marker at radius 1: circle, square, diamond, triangles, plus, cross, star, and `BAR`."""
BAR = 10
