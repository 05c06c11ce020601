"""A heat map: a coloured cell for each row and column, such as a layer and a head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xformer.plotting.shapes import SHADES, Area, Drawing, Path, Shape, Text
from xformer.plotting.ticks import column_digits, number_text

_WIDTH, _LEFT, _RIGHT, _TOP, _TITLE = 460, 44, 14, 10, 20
_ROW, _WIDEST, _GAP, _LETTER = 20, 52, 1.0, 5.6
_SAMPLE, _BELOW = 14, 66


@dataclass(frozen=True)
class HeatChart:
    """Cells in shades of one colour, from little to much; told by lightness, so also without colour vision.

    Each number is written into its cell where there is room, and shown where the pointer rests.

    Attributes:
        title: of the map, with the unit.
        rows: names of the rows, from the top.
        columns: names of the columns.
        values: a list of numbers for each row; one that is not finite leaves its cell empty.
        ends: what the lightest and the darkest shade stand for; left out, the smallest and the largest value.
        row_name: what a row is, for the axis.
        column_name: what a column is.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    ends: tuple[float, float] | None = None
    row_name: str = ""
    column_name: str = ""

    def drawings(self, titled: bool) -> list[Drawing]:
        """The map, laid out; none where there is no number to draw."""
        finite = [value for row in self.values for value in row if math.isfinite(value)]
        if not finite:
            return []
        low, high = self.ends or (min(finite), max(finite))
        digits = max(0, column_digits(finite) - 1)  # a cell is narrower than a column of a table
        left = _LEFT + max(0.0, _LETTER * max(map(len, self.rows)) - 18)
        wide = min(_WIDEST, (_WIDTH - left - _RIGHT) / len(self.columns))
        top = _TOP + _TITLE * titled
        room = wide - 4 >= _LETTER * max(len(f"{value:.{digits}f}") for value in finite)
        shapes: list[Shape] = [Text(10, 13, self.title, "head")] if titled and self.title else []
        for number, (name, values) in enumerate(zip(self.rows, self.values, strict=True)):
            y = top + _ROW * number
            shapes.append(Text(left - 6, y + _ROW / 2 + 4, name, "name"))
            for place, (column, value) in enumerate(zip(self.columns, values, strict=True)):
                if not math.isfinite(value):
                    continue
                x, shade = left + wide * place, _shade(value, low, high)
                where = f"{self.row_name} {name}, {self.column_name} {column}".strip(", ")
                label = f"{where}: {number_text(value)}"
                shapes.append(Area.box(x, y, wide - _GAP, _ROW - _GAP, f"area q{shade}", label))
                if room:
                    style = "cell on" if shade >= SHADES / 2 else "cell"
                    shapes.append(Text(x + wide / 2, y + _ROW / 2 + 3.5, f"{value:.{digits}f}", style))
        bottom = top + _ROW * len(self.rows)
        # Not every name where columns are narrow.
        every = max(1, math.ceil((_LETTER * max(map(len, self.columns)) + 4) / wide))
        for place, column in enumerate(self.columns):
            if place % every == 0:
                shapes.append(Text(left + wide * (place + 0.5), bottom + 14, column, "tick"))
        shapes.append(Text(left + wide * len(self.columns) / 2, bottom + 30, self.column_name, "tick"))
        if self.row_name:
            shapes.append(Text(left - 6, bottom + 14, self.row_name, "name"))
        shapes += _scale(left, bottom + 40, number_text(low), number_text(high))
        return [Drawing(_WIDTH, bottom + _BELOW, shapes)]


def _shade(value: float, low: float, high: float) -> int:
    """The number of a value's shade; the middle one where all values are equal."""
    share = (value - low) / (high - low) if high > low else 0.5
    return max(0, min(SHADES - 1, int(share * SHADES)))


def _scale(left: float, top: float, low: str, high: str) -> list[Shape]:
    """All shades in a row, with what the ends stand for."""
    wide = _SAMPLE * SHADES
    shapes: list[Shape] = [Area.box(left + _SAMPLE * n, top, _SAMPLE, 8, f"area q{n}") for n in range(SHADES)]
    corners = ((left, top), (left + wide, top), (left + wide, top + 8), (left, top + 8), (left, top))
    shapes.append(Path(corners, "grid"))
    shapes += [Text(left, top + 20, low, "tick"), Text(left + wide, top + 20, high, "tick")]
    return shapes
