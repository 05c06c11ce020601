"""The retrieval scores of an evaluation as a chart: one row per language, one dot per model."""

from __future__ import annotations

import os
from pathlib import Path

from xformer.evaluation.report import EvaluationReport
from xformer.plotting.charts import Axis, DotChart, Figure
from xformer.plotting.png import png
from xformer.plotting.shapes import Look
from xformer.storage.files import atomic_write


def retrieval_chart(report: EvaluationReport) -> DotChart:
    """Top-1 of the model, the bag of subwords and the untrained model for every language, best at the top."""
    found = report.retrieval
    languages = found.languages
    values = {
        "model": {tag: one.top1 for tag, one in languages.items()},
        "bag of subwords": {tag: one.bag_top1 for tag, one in languages.items()},
        "untrained model": {tag: one.untrained_top1 for tag, one in languages.items()},
    }
    means = dict(zip(values, (found.mean_top1, found.bag_mean_top1, found.untrained_mean_top1), strict=True))
    title, grey = f"Retrieval with {found.pivot}, top-1", {"untrained model": Look("s8", 0)}
    return DotChart(title, values, Axis(ends=(0.0, 1.0)), means=means, looks=grey)


def plot_retrieval(report: EvaluationReport, path: str | os.PathLike[str]) -> Path | None:
    """Draw the retrieval scores.

    Args:
        report: the evaluation.
        path: the PNG file to write.

    Returns:
        `path`, or None where matplotlib is not installed.
    """
    title = f"Retrieval among {report.messages:,} messages of the {report.split} split"
    note = (
        f"Top-1 between each language and {report.retrieval.pivot}, mean of both directions. Dotted: means."
    )
    picture = png(Figure([retrieval_chart(report)], title, note))
    if picture is None:
        return None
    with atomic_write(path, "wb") as file:
        file.write(picture)
    return Path(path)
