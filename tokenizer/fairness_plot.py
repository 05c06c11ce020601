"""A picture of the fairness report."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import TokenizerError
from .fairness import FairnessReport, LanguageFairness
from .files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _QUIET, _GRID = "#1f2933", "#7b8794", "#e4e7eb"
_CHEAP, _DEAR, _PIVOT, _PLAIN = "#2a9d8f", "#d1495b", "#1f2933", "#5b7db1"


def plot_fairness(report: FairnessReport, path: str | os.PathLike[str]) -> None:
    """Draw a report into a PNG file, atomically.

    Four panels have one line per language, the highest parity on top: parity with the pivot; subwords per
    word; subwords per character; and the share of bytes encoded as byte pieces.

    Args:
        report: the report.
        path: the PNG file to write; a missing folder is made.

    Raises:
        TokenizerError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise TokenizerError("the picture needs matplotlib: pip install 'xformer[plot]'") from None

    rows = report.rows
    height = 1.9 + 0.205 * len(rows)
    # Figure and canvas without pyplot: no global state and no display.
    figure = Figure(figsize=(11.0, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 4, sharey=True, gridspec_kw={"width_ratios": [2.2, 1, 1, 1], "wspace": 0.08})
    for axis in axes:
        _prepare(axis, len(rows))
    _draw_parity(axes[0], rows, report.pivot)
    _draw_bars(axes[1], rows, lambda row: row.tokens_per_word, "subwords per word", "no spaces")
    _draw_bars(axes[2], rows, lambda row: row.tokens_per_character, "subwords per character")
    _draw_bars(axes[3], rows, lambda row: 100 * row.byte_fallback, "bytes as byte pieces, %")
    axes[0].set_yticks(range(len(rows)), [row.language for row in rows])
    for label, row in zip(axes[0].get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.language == report.pivot else "normal")
    inch = 1.0 / height
    figure.subplots_adjust(left=0.085, right=0.985, top=1 - 1.15 * inch, bottom=0.35 * inch)
    mean = report.mean_parity
    title = f"Subwords for the same messages, {len(rows)} languages"
    if mean is not None:
        title += f": {mean:.2f} × {report.pivot} on average"
    figure.text(0.012, 1 - 0.36 * inch, title, fontsize=14, fontweight="bold", color=_INK)
    figure.text(0.012, 1 - 0.62 * inch, report.tokenizer, fontsize=8.5, color=_QUIET)
    picture = io.BytesIO()
    # Without the software version, the same report gives the same file.
    figure.savefig(picture, format="png", metadata={"Software": None})
    write_whole(path, picture.getvalue())


def _prepare(axis: Axes, rows: int) -> None:
    axis.set_ylim(rows - 0.4, -0.6)
    axis.xaxis.tick_top()
    axis.xaxis.set_label_position("top")
    axis.tick_params(axis="both", length=0, labelsize=8, labelcolor=_INK)
    axis.grid(axis="x", color=_GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _draw_parity(axis: Axes, rows: tuple[LanguageFairness, ...], pivot: str) -> None:
    values = [row.parity for row in rows if row.parity is not None]
    low, high = min([1.0, *values]), max([1.0, *values])
    span = max(high - low, 0.5)
    axis.set_xlim(low - 0.14 * span, high + 0.14 * span)
    axis.axvline(1.0, color=_INK, linewidth=1.0)
    axis.set_xlabel(f"parity: subwords for one subword of {pivot}", fontsize=8.5, color=_INK, labelpad=6)
    for y, row in enumerate(rows):
        if row.parity is None:
            axis.text(1.0 + 0.02 * span, y, "not parallel", va="center", fontsize=7, color=_QUIET)
            continue
        color = _PIVOT if row.language == pivot else _DEAR if row.parity > 1 else _CHEAP
        axis.plot([1.0, row.parity], [y, y], color=color, linewidth=2.2, solid_capstyle="round", alpha=0.55)
        axis.plot(row.parity, y, "o", color=color, markersize=4.8)
        right = row.parity >= 1
        _write(axis, f"{row.parity:.2f}", row.parity, y, 5 if right else -5, _INK)


def _draw_bars(
    axis: Axes,
    rows: tuple[LanguageFairness, ...],
    value: Callable[[LanguageFairness], float | None],
    label: str,
    missing: str = "–",
) -> None:
    numbers = [value(row) for row in rows]
    largest = max([x for x in numbers if x is not None], default=0.0)
    axis.set_xlim(0.0, 1.25 * largest or 1.0)
    axis.set_xlabel(label, fontsize=8.5, color=_INK, labelpad=6)
    for y, number in enumerate(numbers):
        if number:
            axis.barh(y, number, height=0.62, color=_PLAIN, alpha=0.75)
        text = missing if number is None else f"{number:.2f}"
        _write(axis, text, number or 0.0, y, 3, _INK if number else _QUIET)


def _write(axis: Axes, text: str, x: float, y: int, offset: int, color: str) -> None:
    axis.annotate(
        text,
        (x, y),
        xytext=(offset, 0),
        textcoords="offset points",
        ha="left" if offset > 0 else "right",
        va="center",
        fontsize=7,
        color=color,
    )
