"""A figure as HTML: its charts as SVG in the page's own colours, with title and legend. No script."""

from __future__ import annotations

import html
from collections.abc import Iterable

from xformer.plotting.charts import Figure
from xformer.plotting.shapes import RADIUS, Area, Drawing, Path, Point, Shape, Text


def figure_html(figure: Figure) -> str:
    """A `<figure>`; empty where there is nothing to draw."""
    drawings = figure.drawings()
    if not drawings:
        return ""
    title = escape(figure.caption)
    panels = "".join(_svg(one, f' role="img" aria-label="{title}"') for one in drawings)
    keys = "".join(
        f'<span class="key">{_svg(Drawing(24, 12, key.swatch()), "")}{escape(key.text)}</span>'
        for key in figure.keys(drawings)
    )
    legend = f'<div class="legend">{keys}</div>' if keys else ""
    note = f'<p class="note">{escape(figure.note)}</p>' if figure.note else ""
    inner = f'<figcaption>{title}</figcaption><div class="panels">{panels}</div>{legend}{note}'
    return f'<figure style="--panels: {len(drawings)}">{inner}</figure>'


def escape(text: str) -> str:
    """Text for an element or an attribute of HTML."""
    return html.escape(text, quote=True)


def elements(shapes: Iterable[Shape]) -> str:
    """Shapes as elements of SVG, whose classes a style sheet has to know."""
    return "".join(map(_element, shapes))


def _svg(drawing: Drawing, attributes: str) -> str:
    inner = elements(drawing.shapes)
    return f'<svg viewBox="0 0 {drawing.width:g} {drawing.height:g}"{attributes}>{inner}</svg>'


def _element(shape: Shape) -> str:
    if isinstance(shape, Text):
        return f'<text class="{shape.style}" x="{shape.x:.1f}" y="{shape.y:.1f}">{escape(shape.text)}</text>'
    if isinstance(shape, Path):
        kind, geometry = "path", f'd="M{_points(shape.points)}"'
    elif isinstance(shape, Area):
        kind, geometry = "path", f'd="M{_points(shape.points)}Z"'
    elif shape.outline:
        kind, geometry = "path", f'd="M{_points(shape.outline)}Z"'
    else:
        kind, geometry = "circle", f'cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{RADIUS}"'
    title = f"<title>{escape(shape.label)}</title>" if shape.label else ""
    return f'<{kind} class="{shape.style}" {geometry}>{title}</{kind}>'


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
