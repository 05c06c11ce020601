"""The pictures of an evaluation: retrieval by language and model, and the map of the space."""

from __future__ import annotations

from dataclasses import replace

from xformer.data.languages import counted, named
from xformer.evaluation.names import label, short_names
from xformer.evaluation.report import EvaluationReport, RetrievalScores
from xformer.evaluation.space_map import SpaceMap
from xformer.plotting.charts import Axis, DotChart, Figure
from xformer.plotting.scatter import MapChart, Spot
from xformer.plotting.shapes import Look

_LONGEST_NAME = 30


def retrieval_chart(found: RetrievalScores) -> DotChart:
    """Top-1 of the model, the bag of subwords and the untrained model for every language, best at the top."""
    rows = short_names(found.languages)
    languages = {rows[tag]: one for tag, one in found.languages.items()}
    values = {"model": {name: one.top1 for name, one in languages.items()}}
    means = {"model": found.mean_top1}
    if found.bag_mean_top1 is not None:
        bag = {name: one.bag_top1 for name, one in languages.items() if one.bag_top1 is not None}
        values["bag of subwords"], means["bag of subwords"] = bag, found.bag_mean_top1
    values["untrained model"] = {name: one.untrained_top1 for name, one in languages.items()}
    means["untrained model"] = found.untrained_mean_top1
    title, grey = f"Retrieval with {named(found.pivot)}, top-1", {"untrained model": Look("s8", 0)}
    return DotChart(title, values, Axis(ends=(0.0, 1.0)), means=means, looks=grey)


def space_chart(found: SpaceMap) -> MapChart:
    """The map: a point for each text, joined to its translation in the pivot language, which names it."""
    series = {
        label(tag): [
            Spot(one.x, one.y, f"{label(tag)}: {one.text}") for one in found.texts if one.language == tag
        ]
        for tag in found.languages
    }
    pivots = {one.group: one for one in found.texts if one.language == found.pivot}
    joins = [
        ((pivots[one.group].x, pivots[one.group].y), (one.x, one.y))
        for one in found.texts
        if one.language != found.pivot and one.group in pivots
    ]
    names = [((one.x, one.y), _short(one.text)) for one in pivots.values()]
    return MapChart("Translations in one space", series, joins, names)


def space_note(found: SpaceMap) -> str:
    """What the map shows, and its numbers."""
    messages = len({one.group for one in found.texts})
    return (
        f"{messages} held-out messages in {counted(len(found.languages))}; a line joins each text with the"
        f" {found.pivot} one that it translates. Two dimensions show {found.variance:.0%} of the variance."
        f" Mean cosine distance in all dimensions: translations {found.translations:.2f}, other texts"
        f" {found.others:.2f} ({found.pairs:,} pairs)."
    )


def space_figure(found: SpaceMap) -> Figure:
    """The map as a picture."""
    chart = space_chart(found)
    return Figure([replace(chart, title="")], chart.title, space_note(found))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1].rstrip()}…"


def retrieval_figure(report: EvaluationReport) -> Figure | None:
    """The retrieval scores as a picture; None where nothing was compared."""
    if report.retrieval is None:
        return None
    title = f"Retrieval among {report.messages:,} messages of the {report.split} split"
    note = (
        f"Top-1 between each language and {named(report.retrieval.pivot)}, mean of both directions. Dotted:"
        " means."
    )
    return Figure([retrieval_chart(report.retrieval)], title, note)
