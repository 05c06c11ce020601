"""The pictures of alignment: scores by layer, and the map of languages."""

from __future__ import annotations

from collections.abc import Sequence

from xformer.data.languages import likely_script, named
from xformer.evaluation.alignment.report import AlignmentReport
from xformer.evaluation.names import label
from xformer.plotting.charts import Axis, Figure, LineChart, Series
from xformer.plotting.scatter import MapChart, Spot

_MOST_SCRIPTS = 6


def layer_charts(report: AlignmentReport) -> list[LineChart]:
    """Each score along the layers."""
    axis, found = Axis("blocks", whole=True), report.layers

    def chart(title: str, lines: dict[str, Sequence[float | None]]) -> LineChart:
        series = [
            Series(name, [(float(at), value) for at, value in enumerate(values) if value is not None])
            for name, values in lines.items()
        ]
        values = [value for one in series for _, value in one.points]
        # From 0, so that small differences look small.
        ends = (min(0.0, *values), 1.05 * max(values)) if max(values, default=0.0) > 0 else None
        return LineChart(title, axis, series, Axis(ends=ends), lasts=True)

    return [
        chart(
            "Retrieval, top-1",
            {
                "cosine": [one.top1 for one in found],
                "centroids subtracted": [one.centred_top1 for one in found],
                "CSLS": [one.csls_top1 for one in found],
            },
        ),
        chart("Centroid gap", {"gap": [one.centroid_gap for one in found]}),
        chart(
            "Language told by a linear probe, share of texts",
            {
                "probe": [one.probe.accuracy for one in found],
                "chance": [one.probe.chance for one in found],
                "lower end": [one.probe.low for one in found],
                "upper end": [one.probe.high for one in found],
            },
        ),
        chart(
            "CKA of translations",
            {"CKA": [one.cka for one in found], "chance of CKA": [one.cka_chance for one in found]},
        ),
        chart("Hubness, skewness", {"hubness": [one.hubness for one in found]}),
        chart("Anti-hubs, share of texts", {"anti-hubs": [one.anti_hubs for one in found]}),
    ]


def language_map(report: AlignmentReport) -> MapChart:
    """A point for each language, by script; what is near lies alike beside the pivot."""
    points = {tag: (one.x, one.y, f"top-1 {one.top1:.3f}") for tag, one in report.languages.items()}
    points[report.pivot] = (*report.pivot_place, "pivot")
    scripts: dict[str, list[str]] = {}
    for tag in points:
        scripts.setdefault(likely_script(tag) or "?", []).append(tag)
    ranked = sorted(scripts, key=lambda script: (-len(scripts[script]), script))
    series: dict[str, list[Spot]] = {}
    for place, script in enumerate(ranked):
        name = script if place < _MOST_SCRIPTS else "other scripts"
        spots = [Spot(*points[tag][:2], f"{label(tag)}: {points[tag][2]}") for tag in scripts[script]]
        series.setdefault(name, []).extend(spots)
    # The pivot is named first, so that it is not the one without room.
    order = sorted(points, key=lambda tag: (tag != report.pivot, tag))
    return MapChart("Map of languages", series, names=[(points[tag][:2], tag) for tag in order])


def map_note(report: AlignmentReport) -> str:
    """What the map shows."""
    return (
        f"After block {report.layer}: the mean difference of a language's texts from their translations in"
        f" {named(report.pivot)}. Two dimensions show {report.map_variance:.0%} of the variance."
    )


def alignment_figure(report: AlignmentReport) -> Figure:
    """All of it as one picture."""
    title = f"Is the space language-neutral? {report.split} split, step {report.step:,}"
    return Figure([*layer_charts(report), language_map(report)], title, map_note(report))
