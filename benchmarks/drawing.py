"""How the bench's pictures look: axes, colours, ticks, legends, and their way into a file.

A figure takes the colour of its text from outside, so that one picture suits paper and a dark page alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS = "#2f7bf5"
PEERS = ("#e8820c", "#2aa46a", "#cf4a9b", "#8d72ea", "#c25a45", "#2f9fbd", "#98922c", "#8a8a8a")
MARKERS = "osD^vPX*<>"

# A colour that nobody else uses, so that it can be exchanged for the page's own in an SVG.
PLACEHOLDER_INK = "#010203"


def is_ours(implementation: str) -> bool:
    """Whether it is one of this project's."""
    return implementation.startswith("xformer")


def looks_of(implementations: Iterable[str]) -> dict[str, dict[str, Any]]:
    """How each implementation is drawn, ours first: blue, thick and full."""
    names = sorted(set(implementations), key=lambda name: (not is_ours(name), "triton" not in name, name))
    looks: dict[str, dict[str, Any]] = {}
    peers = ours = 0
    for number, name in enumerate(names):
        if is_ours(name):
            color, lines, width = OURS, ("-", "--", ":", "-.")[ours % 4], 2.2
            ours += 1
        else:
            color, lines, width = PEERS[peers % len(PEERS)], "-" if peers < len(PEERS) else "--", 1.3
            peers += 1
        looks[name] = {
            "color": color,
            "linestyle": lines,
            "lw": width,
            "marker": MARKERS[number % len(MARKERS)],
            "ms": 4.5,
            "zorder": 3 if is_ours(name) else 2,
        }
    return looks


def panels_of(count: int, ink: str) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side that share their vertical axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.1 * count + 0.6, 4.4), dpi=130, layout="constrained")
    panels = list(figure.subplots(1, count, squeeze=False, sharey=True)[0])
    for axis in panels:
        axis.patch.set_alpha(0)
        axis.tick_params(colors=ink, which="both", labelsize=8.5)
        axis.spines[["left", "bottom"]].set_color(ink)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color=ink, alpha=0.12, which="major")
    return figure, panels


def plain_vertical(panels: Sequence[Axes]) -> None:
    """The shared vertical axis: logarithmic, numbers as people write them, a factor of four at least.

    To be called when all is drawn, since it fixes the limits.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    first = panels[0]
    first.set_yscale("log")
    first.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    first.yaxis.set_minor_formatter(NullFormatter())
    low, high = first.get_ylim()
    if high / low < 4:  # a narrow range makes mountains of little differences
        middle = math.sqrt(low * high)
        low, high = first.set_ylim(middle / 2, middle * 2)
    if high / low < 30:  # less than two decades would show one number or two
        first.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))


def plain_horizontal(axis: Axes, places: Iterable[float] = ()) -> None:
    """A logarithmic horizontal axis with numbers as people write them, at `places` if these are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    ticks = sorted(set(places))
    axis.set_xscale("log", base=2 if ticks else 10)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.xaxis.set_minor_formatter(NullFormatter())
    if not ticks:
        low, high = axis.get_xlim()
        axis.set_xlim(min(low, high / 4), high)
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    elif len(ticks) <= 14:
        axis.set_xticks(ticks)
        axis.xaxis.set_minor_locator(NullLocator())
        if len(ticks) > 7:
            axis.tick_params(axis="x", rotation=45)


def named_horizontal(axis: Axes, names: Sequence[str]) -> None:
    """A horizontal axis of names, the first at 0."""
    axis.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axis.set_xlim(-0.5, len(names) - 0.5)


def finish(figure: Figure, panels: Sequence[Axes], ink: str, note: str) -> None:
    """One legend for all panels below them, and what is missing."""
    handles: dict[str, Any] = {}
    for axis in panels:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    legend = figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=min(len(handles), 2 + len(panels)),
        frameon=False,
        fontsize=8.5,
        labelcolor=ink,
        title=note or None,
        title_fontsize=8,
    )
    legend.get_title().set_color(ink)


def _short(value: float) -> str:
    """`64`, `1k`, `250k`, `0.5`."""
    if value >= 1024 and value % 1024 == 0:
        return f"{value / 1024:g}k" if value < 2**20 else f"{value / 2**20:g}M"
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def png(figure: Figure) -> bytes:
    """The figure as a PNG on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    picture = BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    return picture.getvalue()


def svg(figure: Figure) -> str:
    """The figure, drawn with `PLACEHOLDER_INK`, as an `<svg>` element whose text has the colour around it."""
    import matplotlib

    text = StringIO()
    # Text stays text: a tenth of the size, and it can be searched.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "xformer"}):
        figure.patch.set_alpha(0)
        figure.savefig(
            text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    element = text.getvalue()
    return re.sub(r"\s*\n\s*", "\n", element[element.index("<svg") :]).replace(
        PLACEHOLDER_INK, "currentColor"
    )
