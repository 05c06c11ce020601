"""A figure as an SVG file that stands alone: light and dark, without scripts and requests."""

from __future__ import annotations

from collections.abc import Iterable

from xformer.plotting.charts import Figure
from xformer.plotting.shapes import COLOURS, Drawing
from xformer.plotting.sheet import sheet
from xformer.plotting.svg import elements, escape

_LETTER = 5.9
"""Mean width of a letter, CSS pixels."""

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
    return _document(sheet(figure, drawings, _text_width), figure.caption)


def _text_width(text: str) -> float:
    """About: the browser's font is not known here."""
    return _LETTER * len(text)


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
