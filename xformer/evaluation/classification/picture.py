"""Pictures of a classifier: accuracy by language, confusion, and reliability."""

from __future__ import annotations

import math
import os
from pathlib import Path

from xformer.evaluation.classification.report import SYSTEMS, ClassificationReport
from xformer.evaluation.names import short_names
from xformer.plotting.charts import Axis, DotChart, Figure, LineChart, Series
from xformer.plotting.heat import HeatChart
from xformer.plotting.png import png
from xformer.plotting.shapes import Look
from xformer.storage.files import atomic_write

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


def reliability_chart(report: ClassificationReport) -> LineChart:
    """How often answers of some confidence are right; on the dotted line if the model is calibrated."""
    series = [Series("calibrated", [(0.0, 0.0), (1.0, 1.0)], Look("s8 dotted"))]
    for number, tag in enumerate(shown_languages(report)):
        found = report.languages[tag].calibration
        points = [(one.confidence, one.accuracy) for one in found.bins]
        series.append(Series(f"{tag}, ECE {found.ece:.3f}", points, Look(f"s{number}", number)))
    ends = (0.0, 1.0)
    return LineChart(
        "Reliability: share of right answers by confidence", Axis("confidence", ends), series, Axis(ends=ends)
    )


def shown_languages(report: ClassificationReport) -> list[str]:
    """Languages that have a chart of their own: the source languages, then those with the most texts."""
    languages = report.languages
    ranked = sorted(languages, key=lambda tag: (not languages[tag].source, -languages[tag].texts, tag))
    return ranked[:_MOST_LANGUAGES]


def plot_classification(
    report: ClassificationReport, scores: str | os.PathLike[str], confusion: str | os.PathLike[str]
) -> list[Path]:
    """Draw accuracy and reliability into one PNG file, and confusion matrices into another.

    Returns:
        The files that were written: none where matplotlib is not installed; of a model that may give several
        labels, no confusion.
    """
    title = f"{report.run}, fine-tuned from {report.base}"
    figures = {Path(scores): Figure([accuracy_chart(report), reliability_chart(report)], title)}
    tags = [tag for tag in shown_languages(report) if report.languages[tag].confusion]
    if tags:
        figures[Path(confusion)] = Figure([confusion_chart(report, tag) for tag in tags], title, legend=False)
    written = []
    for path, figure in figures.items():
        path.unlink(missing_ok=True)  # no picture of earlier scores stays
        if (picture := png(figure)) is not None:
            with atomic_write(path, "wb") as file:
                file.write(picture)
            written.append(path)
    return written
