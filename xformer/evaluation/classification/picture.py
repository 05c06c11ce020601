"""Pictures of a classifier: accuracy by language, confusion, and reliability."""

from __future__ import annotations

import math

from xformer.evaluation.classification.report import SYSTEMS, ClassificationReport
from xformer.evaluation.names import short_names
from xformer.plotting.charts import Axis, DotChart, Figure, LineChart, Series
from xformer.plotting.heat import HeatChart
from xformer.plotting.shapes import Look

_MOST_LANGUAGES = 4
"""In pictures that have a chart for each language."""


def accuracy_chart(report: ClassificationReport) -> DotChart:
    """A row for each language, a dot for each system."""
    names = short_names(report.languages)
    values = {
        SYSTEMS[system]: {
            names[tag]: one.systems[system].mean.accuracy
            for tag, one in report.languages.items()
            if system in one.systems
        }
        for system in report.systems
    }
    return DotChart("Accuracy by language", values, Axis(ends=(0.0, 1.0)))


def confusion_chart(report: ClassificationReport, tag: str) -> HeatChart:
    """The confusion matrix of a language, as shares of each class; columns are numbered as the rows."""
    counts = report.languages[tag].confusion
    shares = [[n / sum(row) if sum(row) else math.nan for n in row] for row in counts]
    rows = [f"{place} {label}" for place, label in enumerate(report.labels, 1)]
    columns = [str(place) for place in range(1, len(report.labels) + 1)]
    name = short_names([tag])[tag]
    return HeatChart(
        f"{name}: what texts of each class are taken for, share",
        rows,
        columns,
        shares,
        ends=(0.0, 1.0),
        column_name="label given",
    )


def reliability_chart(report: ClassificationReport, tag: str) -> LineChart:
    """How often answers of some confidence are right: on the dotted line, if the model is calibrated."""
    one, ends = report.languages[tag], (0.0, 1.0)
    found = (
        ("with its temperature", one.calibration, "s0", 0),
        ("without", one.uncalibrated.calibration, "s1 dashed", 1),
    )
    series = [
        Series(f"{name}", [(each.confidence, each.accuracy) for each in of.bins], Look(style, marker))
        for name, of, style, marker in found
    ]
    series.append(Series("as sure as right", [(0.0, 0.0), (1.0, 1.0)], Look("s8 dotted")))
    confidence = f"confidence (ECE {found[0][1].ece:.3f}, without temperature {found[1][1].ece:.3f})"
    title = f"{short_names([tag])[tag]}: right answers by confidence"
    return LineChart(title, Axis(confidence, ends), series, Axis(ends=ends))


def shown_languages(report: ClassificationReport) -> list[str]:
    """Languages that have a chart of their own: the source languages, then those with the most texts."""
    languages = report.languages
    ranked = sorted(languages, key=lambda tag: (not languages[tag].source, -languages[tag].texts, tag))
    return ranked[:_MOST_LANGUAGES]


def scores_figure(report: ClassificationReport) -> Figure:
    """Accuracy by language, and reliability in some."""
    shown = [reliability_chart(report, tag) for tag in shown_languages(report)]
    return Figure([accuracy_chart(report), *shown], title(report))


def confusion_figure(report: ClassificationReport) -> Figure | None:
    """Confusion matrices; None of a model that may give several labels."""
    tags = [tag for tag in shown_languages(report) if report.languages[tag].confusion]
    charts = [confusion_chart(report, tag) for tag in tags]
    return Figure(charts, title(report), legend=False) if charts else None


def title(report: ClassificationReport) -> str:
    """What the pictures are of."""
    return f"{report.run}, fine-tuned from {report.base}"
