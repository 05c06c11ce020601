"""A figure as one sheet: title, charts in rows, legend, note. SVG files and PNG files share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xformer.plotting.charts import Figure
from xformer.plotting.shapes import Drawing, Key, Shape, Text, moved

TextWidth = Callable[[str], float]
"""The width of a text in CSS pixels, at 11 pixels a line."""

_GAP, _EDGE = 12, 14


def sheet(figure: Figure, drawings: Sequence[Drawing], text_width: TextWidth) -> Drawing:
    """All shapes of a figure, and the size of the whole.

    Args:
        figure: whose title, legend and note are added.
        drawings: its charts, at least one.
        text_width: by which legend and note are broken into lines.
    """
    columns = min(figure.columns, len(drawings))
    width = 2 * _EDGE + columns * (drawings[0].width + _GAP) - _GAP
    shapes: list[Shape] = []
    top = float(_EDGE)
    if figure.caption:
        shapes.append(Text(_EDGE, top + 12, figure.caption, "title"))
        top += 26
    for start in range(0, len(drawings), columns):
        row = drawings[start : start + columns]
        for place, one in enumerate(row):
            left = _EDGE + place * (one.width + _GAP)
            shapes += [moved(shape, left, top) for shape in one.shapes]
        top += max(one.height for one in row) + _GAP
    if keys := figure.keys(drawings):
        legend, top = _legend(keys, width, top, text_width)
        shapes += legend
    for line in _wrapped(figure.note, width - 2 * _EDGE, text_width):
        shapes.append(Text(_EDGE, top + 12, line, "note"))
        top += 16
    return Drawing(width, top + _EDGE / 2, shapes)


def _legend(
    keys: Sequence[Key], width: float, top: float, text_width: TextWidth
) -> tuple[list[Shape], float]:
    """The entries of a legend in lines, and where it ends."""
    shapes: list[Shape] = []
    left = float(_EDGE)
    for key in keys:
        wide = 30 + text_width(key.text) + 20
        if left > _EDGE and left + wide > width:
            left, top = float(_EDGE), top + 18
        shapes += [moved(shape, left, top) for shape in key.swatch()]
        shapes.append(Text(left + 30, top + 10, key.text, "key"))
        left += wide
    return shapes, top + 22


def _wrapped(text: str, width: float, text_width: TextWidth) -> list[str]:
    """Text in lines that are not wider, as far as its words allow."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
