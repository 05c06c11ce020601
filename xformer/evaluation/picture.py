"""The retrieval scores of an evaluation as a chart: one row per language, one dot per model."""

from __future__ import annotations

import os
from pathlib import Path

from xformer.evaluation.plan import named
from xformer.evaluation.report import EvaluationReport, RetrievalScores
from xformer.plotting.charts import Axis, DotChart, Figure
from xformer.plotting.png import png
from xformer.plotting.shapes import Look
from xformer.storage.files import atomic_write


def retrieval_chart(found: RetrievalScores) -> DotChart:
    """Top-1 of the model, the bag of subwords and the untrained model for every language, best at the top."""
    languages = {named(tag): one for tag, one in found.languages.items()}
    values = {"model": {name: one.top1 for name, one in languages.items()}}
    means = {"model": found.mean_top1}
    if found.bag_mean_top1 is not None:
        bag = {name: one.bag_top1 for name, one in languages.items() if one.bag_top1 is not None}
        values["bag of subwords"], means["bag of subwords"] = bag, found.bag_mean_top1
    values["untrained model"] = {name: one.untrained_top1 for name, one in languages.items()}
    means["untrained model"] = found.untrained_mean_top1
    title, grey = f"Retrieval with {named(found.pivot)}, top-1", {"untrained model": Look("s8", 0)}
    return DotChart(title, values, Axis(ends=(0.0, 1.0)), means=means, looks=grey)


def plot_retrieval(report: EvaluationReport, path: str | os.PathLike[str]) -> Path | None:
    """Draw the retrieval scores.

    Args:
        report: the evaluation.
        path: the PNG file to write.

    Returns:
        `path`, or None where matplotlib is not installed.

    Raises:
        ValueError: the evaluation has no retrieval.
    """
    if report.retrieval is None:
        raise ValueError("plot_retrieval: expected an evaluation with retrieval")
    title = f"Retrieval among {report.messages:,} messages of the {report.split} split"
    note = (
        f"Top-1 between each language and {named(report.retrieval.pivot)}, mean of both directions. Dotted:"
        " means."
    )
    picture = png(Figure([retrieval_chart(report.retrieval)], title, note))
    if picture is None:
        return None
    with atomic_write(path, "wb") as file:
        file.write(picture)
    return Path(path)
