"""The curves: bits per byte and retrieval against the clock."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from xformer.storage.files import atomic_write

from ..drawing import looks_of, png
from .result import Measure, Outcome

_INK = "#333333"
_PANELS: tuple[tuple[Measure, str], ...] = (
    ("bits_per_byte", "bits per byte of hidden tokens, held-out (lower is better)"),
    ("mean_top1", "retrieval, mean top-1, held-out (higher is better)"),
)


def draw(outcome: Outcome, path: str | os.PathLike[str]) -> Path | None:
    """Write a PNG; None, and nothing, without matplotlib or without a curve."""
    curves = {name: one for name, one in outcome.trained.items() if one.points}
    if importlib.util.find_spec("matplotlib") is None or not curves:
        return None
    from matplotlib.figure import Figure

    looks = looks_of(curves)
    figure = Figure(figsize=(10.5, 4.4), dpi=130, layout="constrained")
    panels: list[Any] = list(figure.subplots(1, 2))
    for axis, (measure, label) in zip(panels, _PANELS, strict=True):
        for name, one in curves.items():
            points = [(point.seconds, getattr(point, measure)) for point in one.points]
            points = [(seconds, value) for seconds, value in points if value is not None]
            if points:
                axis.plot(*zip(*points, strict=True), label=name, **looks[name])
        axis.set_xlabel("seconds of training", color=_INK)
        axis.set_title(label, color=_INK, fontsize=9.5)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.15)
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    threads = outcome.about["threads"]
    where = f"{outcome.about['device']}{'' if threads is None else f', {threads} threads'}"
    figure.suptitle(where, fontsize=9, color=_INK)
    with atomic_write(Path(path), "wb") as file:
        file.write(png(figure))
    return Path(path)
