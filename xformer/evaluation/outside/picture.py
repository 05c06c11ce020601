"""The pictures of an evaluation on outside text: retrieval by language and by layer."""

from __future__ import annotations

from collections.abc import Mapping

from xformer.data.languages import counted, named
from xformer.evaluation.names import short_names
from xformer.evaluation.outside.report import OutsideReport
from xformer.plotting.charts import Axis, DotChart, Figure, LineChart, Series
from xformer.plotting.shapes import Look

_LABELS = {
    "model": "model",
    "bag": "bag of subwords",
    "trigrams": "character trigrams",
    "untrained": "untrained model",
}
_KINDS = {"all": "all", "seen": "seen in training", "unseen": "not seen"}


def outside_charts(report: OutsideReport) -> list[LineChart | DotChart]:
    """For each set and pivot: top-1 by language beside the baselines, and means by layer."""
    charts: list[LineChart | DotChart] = []
    for name, pivot in dict.fromkeys((one.set, one.pivot) for one in report.pairs):
        pairs = [one for one in report.pairs if (one.set, one.pivot) == (name, pivot)]
        rows = short_names([one.language for one in pairs])
        of = [each for each in _LABELS if each in pairs[0].scores]
        values: Mapping[str, Mapping[str, float]] = {
            _LABELS[each]: {rows[one.language]: one.scores[each].top1 for one in pairs} for each in of
        }
        means = [one for one in report.means if (one.set, one.pivot) == (name, pivot)]
        whole = next(one for one in means if one.which == "all")
        shown = name if name in (report.name, "all") else f"{report.name}, {name}"
        charts.append(
            DotChart(
                f"{shown}: retrieval with {named(pivot)}, top-1",
                values,
                Axis(ends=(0.0, 1.0)),
                means={_LABELS[each]: whole.scores[each].top1 for each in of},
                looks={_LABELS["untrained"]: Look("s8", 0)},
            )
        )
        kinds = [one for one in means if one.languages < whole.languages] or [whole]
        series = [
            Series(
                f"{_KINDS[one.which]}: {counted(one.languages)}",
                [(float(layer), each.value) for layer, each in enumerate(one.by_layer)],
            )
            for one in kinds
        ]
        layers = Axis("layer", whole=True, marks=((float(report.layer), "the run's layer"),))
        highest = max(each.value for one in kinds for each in one.by_layer)
        # From 0, so that small differences look small.
        upward = Axis(ends=(0.0, 1.1 * highest)) if highest else Axis()
        title = f"{shown}: retrieval with {named(pivot)}, top-1 by layer"
        charts.append(LineChart(title, layers, series, upward, lasts=True))
    return charts


def outside_figure(report: OutsideReport) -> Figure | None:
    """Retrieval by language and by layer as a picture; None where nothing was compared."""
    if not (charts := outside_charts(report)):
        return None
    note = (
        f"Mean of both directions. Dotted: means. The run's layer is {report.layer}; its dev split chose it."
    )
    return Figure(charts, f"{report.title}, from outside", note)
