"""A figure as a PNG file: the same shapes as in a page, painted by matplotlib."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from xformer.plotting.charts import Figure
from xformer.plotting.shapes import COLOURS, RADIUS, Area, Dot, Path, Shape, Text
from xformer.plotting.sheet import sheet

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
    whole = sheet(figure, drawings, _text_width)
    return _painted(whole.shapes, whole.width, whole.height)


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
