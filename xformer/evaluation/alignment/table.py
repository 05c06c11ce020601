"""Scores of alignment as a table for a terminal, and in sentences."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xformer.data.languages import counted, named
from xformer.evaluation.alignment.report import AlignmentReport, LayerScores

LAYER_HEADERS = (
    *("layer", "gap", "top-1", "centred", "CSLS", "language told", "95%"),
    *("hubness", "anti-hubs", "CKA", "chance"),
)
_NARROW = {"centred": "cen-\ntred", "language told": "lang.\ntold", "hubness": "hub-\nness"}
_NARROW["anti-hubs"] = "anti-\nhubs"
MEANING = (
    "gap: distance of two languages' centroids beside that of two texts of one language; 0 if all are in one"
    " place.",
    "top-1: translations that are the nearest text; centred: after each language's centroid is subtracted;"
    " CSLS: with hubs taken out.",
    "language told (95%): share of held-out texts whose language a linear probe finds, with its interval.",
    "hubness: skewness of how often a text of the pivot is among the ten nearest of a query; anti-hubs: share"
    " that never is.",
    "CKA: whether translations lie alike, up to a rotation; 0 by chance, 1 if they do. chance: with one side"
    " in another order.",
)
"""What the columns mean."""


def layer_rows(report: AlignmentReport) -> list[tuple[str, ...]]:
    """A row for each layer; `*` marks the run's."""
    return [
        (f"{number}{'*' if number == report.layer else ''}", *_cells(one))
        for number, one in enumerate(report.layers)
    ]


def alignment_table(report: AlignmentReport) -> RenderableType:
    """The table, what it means, and the languages that are farthest from the pivot."""
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for index, header in enumerate(_NARROW.get(name, name) for name in LAYER_HEADERS):
        table.add_column(header, justify="right" if index else "left", vertical="bottom", no_wrap=True)
    for row in layer_rows(report):
        table.add_row(*row)
    return Group(Text(title(report), style="bold"), Text(), table, Text(), *map(Text, summary(report)))


def title(report: AlignmentReport) -> str:
    """What was measured."""
    return (
        f"Is the space language-neutral? {report.texts:,} texts of the {report.split} split,"
        f" {counted(len(report.languages))} beside {named(report.pivot)}, step {report.step:,}"
    )


def summary(report: AlignmentReport) -> list[str]:
    """What the columns mean, and languages that stand out at the run's layer."""
    chance = report.layers[report.layer].probe.chance
    far = sorted(report.languages, key=lambda tag: report.languages[tag].top1)[:5]
    said = ", ".join(f"{named(tag)} {report.languages[tag].top1:.3f}" for tag in far)
    return [
        f"*: the run's layer. Who always says one language is right in {chance:.3f}.",
        *MEANING,
        f"Lowest top-1 at the run's layer: {said}.",
    ]


def _cells(one: LayerScores) -> tuple[str, ...]:
    probe = one.probe
    between = "" if probe.low is None or probe.high is None else f"{_three(probe.low)}–{_three(probe.high)}"
    return (
        *map(_three, (one.centroid_gap, one.top1, one.centred_top1, one.csls_top1, probe.accuracy)),
        between,
        f"{one.hubness:.2f}",
        *("" if value is None else _three(value) for value in (one.anti_hubs, one.cka, one.cka_chance)),
    )


def _three(value: float) -> str:
    """Three decimals, and no minus in front of a zero."""
    return f"{round(value, 3) + 0.0:.3f}"
