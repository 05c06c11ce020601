"""An evaluation as a picture: one line a language, one dot a model."""

from __future__ import annotations

import importlib.util
import os
from io import BytesIO
from pathlib import Path

from xformer.evaluation.report import EvaluationReport
from xformer.storage.files import atomic_write


def plot_retrieval(report: EvaluationReport, path: str | os.PathLike[str]) -> Path | None:
    """Draw top-1 of the model, the bag and the untrained model for every language, best at the top.

    Args:
        report: what was found.
        path: the PNG to write.

    Returns:
        `path`, or None where matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = report.retrieval
    languages = sorted(found.languages.items(), key=lambda item: (item[1].top1, item[0]))
    places = range(len(languages))
    model = [one.top1 for _, one in languages]
    bag = [one.bag_top1 for _, one in languages]
    untrained = [one.untrained_top1 for _, one in languages]

    figure = Figure(figsize=(8.0, 1.7 + 0.19 * len(languages)), layout="constrained")
    axis = figure.subplots()
    axis.hlines(places, bag, model, color="0.75", lw=2.0, zorder=1)
    series = (
        (untrained, "untrained model", "0.65", "|", found.untrained_mean_top1),
        (bag, "bag of subwords", "#d95f02", "o", found.bag_mean_top1),
        (model, "model", "#1b5e9e", "o", found.mean_top1),
    )
    for values, label, color, marker, average in series:
        axis.scatter(
            values, places, s=30, color=color, marker=marker, label=f"{label}, mean {average:.3f}", zorder=3
        )
        axis.axvline(average, color=color, lw=1.0, ls=":", zorder=2)
    axis.set_yticks(places, [tag for tag, _ in languages], fontsize=8)
    axis.set_ylim(-1, len(languages))
    axis.set_xlim(0, 1)
    axis.grid(axis="x", color="0.92")
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(f"top-1 between each language and {found.pivot}, mean of both directions")
    axis.set_title(f"Retrieval among {report.messages:,} messages of the {report.split} split", fontsize=11)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    picture = BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    with atomic_write(path, "wb") as file:
        file.write(picture.getvalue())
    return Path(path)
