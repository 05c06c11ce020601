"""An outcome as tables, and as a picture: bits per byte and retrieval over the training time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from xformer.plotting.charts import Axis, Figure, LineChart, Series
from xformer.plotting.png import png
from xformer.plotting.shapes import Look
from xformer.storage.files import write_files

from .result import Measure, Outcome, Trained

_CHARTS: tuple[tuple[Measure, str], ...] = (
    ("bits_per_byte", "Held-out bits per byte of hidden tokens; lower is better"),
    ("mean_top1", "Held-out retrieval, mean top-1; higher is better"),
)

_HEADLINE = {
    "tokens_per_s_over_padded": "tokens/s, times those of padded",
    "tokens_per_s_over_blocks": "tokens/s, times those of blocks",
    "matrix_rate_share": "share of the matrix rate",
    "time_to_bpb_over_blocks": "times sooner at the bits per byte that blocks ends with",
    "time_to_bpb_over_blocks_from_counts": "the same for blocks-from-counts",
    "time_to_retrieval_over_sentence_transformers": "times sooner at the retrieval of sentence-transformers",
    "time_to_retrieval_over_static_embedding": "times sooner at the retrieval of static-embedding",
    "retrieval_mean_top1": "retrieval, mean top-1",
}


def trainers_table(outcome: Outcome) -> Table:
    """A table with a row for each trainer."""
    table = Table(title=f"{outcome.about['budget_s']:g} s of training each", title_justify="left")
    to_bits = outcome.times_to("blocks", "bits_per_byte")
    to_top1 = outcome.times_to("sentence-transformers", "mean_top1")
    columns: dict[str, Callable[[Trained], str]] = {
        "parameters": lambda one: _number(one.parameters, ",d"),
        "steps": lambda one: _number(one.steps, ",d"),
        "tokens/s": lambda one: _number(one.tokens_per_s, ",.0f"),
        "bits/byte": lambda one: _number(one.final("bits_per_byte"), ".3f"),
        "top-1": lambda one: _number(one.final("mean_top1"), ".3f"),
        "s to bpb of blocks": lambda one: _number(to_bits[one.name], ".1f"),
        "s to top-1 of s.-t.": lambda one: _number(to_top1[one.name], ".1f"),
        "memory MB": lambda one: _number(one.peak_bytes and one.peak_bytes / 1e6, ",.0f"),
        "of matrix rate": lambda one: _number(one.matrix_share, ".1%"),
    }
    table.add_column("trainer")
    for column in columns:
        table.add_column(column, justify="right")
    for name, one in outcome.trained.items():
        cells = [cell(one) for cell in columns.values()] if one.status == "ok" else [one.status]
        table.add_row(name, *cells)
    return table


def headline_table(outcome: Outcome) -> Table:
    """A table of the headline figures."""
    table = Table("", "", show_header=False)
    for name, value in outcome.headline().items():
        table.add_row(_HEADLINE[name], _number(value, ".3g"))
    return table


def notes(outcome: Outcome) -> list[str]:
    """A line for each trainer: its settings, and the load of the machine before and after."""
    lines = []
    for name, one in outcome.trained.items():
        load = f" (load {' to '.join(f'{value:g}' for value in one.load)})" if one.load else ""
        lines.append(f"{name}: {one.note}{load}")
    return lines


def draw(outcome: Outcome, path: str | os.PathLike[str]) -> Path | None:
    """Write the picture; None where matplotlib is not installed or no trainer has a curve."""
    curves = {name: one for name, one in outcome.trained.items() if one.points}
    names = sorted(curves, key=lambda name: name != "xformer")
    looks = {name: Look(f"s{n}{' thick' * (name == 'xformer')}", n) for n, name in enumerate(names)}
    charts = []
    for measure, title in _CHARTS:
        series = []
        for name in names:
            found = [(point.seconds, getattr(point, measure)) for point in curves[name].points]
            series.append(Series(name, [(x, y) for x, y in found if y is not None], looks[name]))
        charts.append(LineChart(title, Axis("seconds of training"), series))
    threads = outcome.about["threads"]
    where = f"{outcome.about['device']}{'' if threads is None else f', {threads} threads'}"
    return next(iter(write_files([(Path(path), png(Figure(charts, note=where)))])), None)


def _number(value: float | None, how: str) -> str:
    return "–" if value is None else format(value, how)
