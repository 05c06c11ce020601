"""A figure as an SVG file that stands alone: light and dark, without scripts and requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from xformer.plotting.charts import Figure
from xformer.plotting.shapes import COLOURS, Drawing, Key, Shape, Text, moved
from xformer.plotting.svg import elements, escape

_COLUMNS, _GAP, _EDGE, _LETTER = 3, 12, 14, 5.9

_STYLE = """
text { fill: var(--soft); font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.tick, .cell { text-anchor: middle; } .name { text-anchor: end; }
.head, .title { font-weight: 600; } .title { font-size: 13px; }
.value, .head, .title, .cell { fill: var(--ink); } .cell { font-size: 10px; } .cell.on { fill: var(--paper); }
path { fill: none; stroke-linejoin: round; } .grid { stroke: var(--rule); }
.mark { stroke: var(--soft); stroke-dasharray: 2 3; } .mean { stroke: currentColor; stroke-dasharray: 2 3; }
.span { stroke: var(--rule); stroke-width: 2; } .join { stroke: var(--rule); stroke-width: 1.2; }
.line { stroke: currentColor; stroke-width: 1.8; } .thick { stroke-width: 2.6; }
.dashed { stroke-dasharray: 7 4; } .dotted { stroke-dasharray: 2 4; }
.dot, .area { fill: currentColor; stroke: none; } .paper { fill: var(--paper); }
"""


def svg_file(figure: Figure) -> str:
    """The content of an SVG file; empty where there is nothing to draw."""
    drawings = figure.drawings()
    if not drawings:
        return ""
    columns = min(_COLUMNS, len(drawings))
    width = 2 * _EDGE + columns * (drawings[0].width + _GAP) - _GAP
    shapes: list[Shape] = []
    top = float(_EDGE)
    if figure.caption:
        shapes.append(Text(_EDGE, top + 12, figure.caption, "title"))
        top += 26
    for start in range(0, len(drawings), columns):
        row = drawings[start : start + columns]
        shapes += [
            moved(shape, _EDGE + place * (one.width + _GAP), top)
            for place, one in enumerate(row)
            for shape in one.shapes
        ]
        top += max(one.height for one in row) + _GAP
    legend, top = _legend(figure.keys(drawings), width, top)
    shapes += legend
    for line in wrap(figure.note, int((width - 2 * _EDGE) / _LETTER)):
        shapes.append(Text(_EDGE, top + 12, line, "note"))
        top += 16
    return _document(Drawing(width, top + _EDGE / 2, shapes), figure.caption)


def _legend(keys: Sequence[Key], width: float, top: float) -> tuple[list[Shape], float]:
    """The entries of a legend in lines, and where it ends."""
    shapes: list[Shape] = []
    left = float(_EDGE)
    for key in keys:
        wide = 50 + _LETTER * len(key.text)
        if left > _EDGE and left + wide > width:
            left, top = float(_EDGE), top + 18
        shapes += [moved(shape, left, top) for shape in key.swatch()]
        shapes.append(Text(left + 30, top + 10, key.text, "key"))
        left += wide
    return shapes, top + 22 * bool(keys)


def _document(drawing: Drawing, title: str) -> str:
    size = f'width="{drawing.width:g}" height="{drawing.height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {drawing.width:g} {drawing.height:g}"'
        f' role="img"><title>{escape(title)}</title>\n<style>\n:root {{ {_colours(0)} }}\n'
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_colours(1)} }} }}{_STYLE}{_scales()}</style>\n"
        f'<rect class="paper" {size}/>\n{elements(drawing.shapes)}</svg>\n'
    )


def _colours(which: int) -> str:
    return " ".join(f"--{name}: {pair[which]};" for name, pair in COLOURS.items())


def _scales() -> str:
    names: Iterable[str] = (name for name in COLOURS if name[1:].isdigit())
    return "".join(f".{name} {{ color: var(--{name}); }}\n" for name in names)
