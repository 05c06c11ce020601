"""A figure as a PNG file: the same shapes as in a page, painted by matplotlib."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from xformer.plotting.charts import Figure
from xformer.plotting.shapes import COLOURS, RADIUS, Area, Dot, Drawing, Key, Path, Shape, Text, moved

_COLUMNS, _GAP, _EDGE = 3, 12, 14
_SCALE = 1.5
_POINT = 0.72  # of a CSS pixel: pixels are hundredths of an inch, points seventy-seconds

_WIDTHS = {"grid": 0.8, "mark": 0.9, "mean": 1.0, "span": 2.0, "line": 1.8, "join": 1.0}
_DASHES: dict[str, Any] = {
    "mark": (0, (2, 3)),
    "mean": (0, (2, 3)),
    "dashed": (0, (4, 2)),
    "dotted": (0, (1, 2)),
}
_GREYS = {"grid": "rule", "mark": "soft", "span": "rule", "join": "rule", "tick": "soft", "name": "soft"}

_LETTERS = {"value": "ink", "on": "paper"}


def can_write_png() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def png(figure: Figure) -> bytes | None:
    """The content of a PNG file; None where there is nothing to draw, or matplotlib is not installed."""
    drawings = figure.drawings()
    if not drawings or not can_write_png():
        return None
    shapes, width, height = _composed(figure, drawings)
    return _painted(shapes, width, height)


def _composed(figure: Figure, drawings: Sequence[Drawing]) -> tuple[list[Shape], float, float]:
    """All shapes of a figure: title, charts in rows of three, legend, note; and the size of the whole."""
    columns = min(_COLUMNS, len(drawings))
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
        legend, top = _legend(keys, width, top)
        shapes += legend
    for line in _wrapped(figure.note, width - 2 * _EDGE):
        shapes.append(Text(_EDGE, top + 12, line, "note"))
        top += 16
    return shapes, width, top + _EDGE / 2


def _legend(keys: Sequence[Key], width: float, top: float) -> tuple[list[Shape], float]:
    """The entries of a legend in lines, and where it ends."""
    shapes: list[Shape] = []
    left = float(_EDGE)
    for key in keys:
        wide = 30 + _text_width(key.text) + 20
        if left > _EDGE and left + wide > width:
            left, top = float(_EDGE), top + 18
        shapes += [moved(shape, left, top) for shape in key.swatch()]
        shapes.append(Text(left + 30, top + 10, key.text, "key"))
        left += wide
    return shapes, top + 22


def _wrapped(text: str, width: float) -> list[str]:
    """Text in lines that are not wider, as far as its words allow."""
    lines: list[str] = []
    for word in text.split():
        if lines and _text_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _text_width(text: str) -> float:
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, size=11).get_extents().width) if text.strip() else 0.0


def _painted(shapes: Sequence[Shape], width: float, height: float) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    # Without pyplot: no global state, no display, nothing to close.
    canvas = Canvas(figsize=(width / 100, height / 100), dpi=100 * _SCALE, facecolor="white")
    axes = canvas.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for number, shape in enumerate(shapes):
        _paint(axes, shape, number)
    picture = BytesIO()
    # No version of any software in the file: the same figure gives the same bytes.
    FigureCanvasAgg(canvas).print_png(picture, metadata={"Software": None})
    return picture.getvalue()


def _paint(axes: Any, shape: Shape, order: int) -> None:
    """Add one shape, above those before it."""
    from matplotlib.patches import Circle, Polygon

    classes = shape.style.split()
    grey = next((_GREYS[name] for name in classes if name in _GREYS), "ink")
    colour = COLOURS[next((name for name in classes if name in COLOURS), grey)][0]
    if isinstance(shape, Text):
        letters = next((_LETTERS[name] for name in classes if name in _LETTERS), None)
        axes.text(
            shape.x,
            shape.y,
            shape.text,
            color=colour if letters is None else COLOURS[letters][0],
            fontsize={"title": 13, "head": 12, "cell": 10}.get(classes[0], 11) * _POINT,
            fontweight="bold" if classes[0] in ("title", "head") else "normal",
            ha={"tick": "center", "cell": "center", "name": "right"}.get(classes[0], "left"),
            va="baseline",
            parse_math=False,
            zorder=order,
        )
    elif isinstance(shape, Dot):
        outline = shape.outline
        patch = Polygon(outline) if outline else Circle((shape.x, shape.y), RADIUS)
        patch.set(color=colour, linewidth=0, zorder=order)
        axes.add_patch(patch)
    elif isinstance(shape, Area):
        # Without a line, or neighbours would overlap by its width.
        axes.add_patch(Polygon(shape.points, color=colour, linewidth=0, antialiased=False, zorder=order))
    elif isinstance(shape, Path):
        axes.plot(
            *zip(*shape.points, strict=True),
            color=colour,
            linewidth=(2.6 if "thick" in classes else _WIDTHS[classes[0]]) * _POINT,
            linestyle=next((_DASHES[name] for name in classes if name in _DASHES), "-"),
            solid_joinstyle="round",
            zorder=order,
        )
