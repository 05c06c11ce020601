"""The loss curves of a run as a picture."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xformer.runs.metrics import without_remnant
from xformer.storage.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVES = {
    "masked_lm": ("masked LM", "nats per hidden token, among candidates"),
    "translation_lm": ("translation LM", "nats per hidden token, among candidates"),
    "alignment": ("alignment", "nats per text, among its step's"),
    "bag_alignment": ("alignment without blocks", "nats per text, among its step's"),
    "distillation": ("from before to after the blocks", "1 - cosine per text"),
}
"""What each objective's curve is called, and what it counts: both depend on how much a step holds."""


def plot_losses(metrics: list[dict[str, Any]], path: Path) -> Path | None:
    """Draw each objective's loss, and the tokens per second, against training time.

    Args:
        metrics: the lines of metrics.jsonl.
        path: the PNG to write.

    Returns:
        `path`, or None where matplotlib is not installed or there is nothing to draw.
    """
    if importlib.util.find_spec("matplotlib") is None or not metrics:
        return None
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    names = [name for name in _CURVES if any(name in line["loss"] for line in metrics)]
    figure = Figure(figsize=(4.2 * (len(names) + 1), 3.4), layout="constrained")
    axes = figure.subplots(1, len(names) + 1, squeeze=False)[0]
    end = metrics[-1]["elapsed"]
    drawn = without_remnant(metrics)
    clock, a_unit = ("minutes", 60.0) if end >= 120 else ("seconds", 1.0)
    switch = next((line["elapsed"] / a_unit for line in metrics if line["stage"] == "full"), 0.0)

    def draw(axis: Axes, lines: Sequence[Mapping[str, Any]], values: Sequence[float], colour: str) -> None:
        # One point is no line.
        marker = "o" if len(lines) == 1 else ""
        axis.plot([x["elapsed"] / a_unit for x in lines], values, lw=1.2, c=colour, marker=marker, ms=4)

    for axis, name in zip(axes, names, strict=False):
        lines = [line for line in drawn if name in line["loss"]]
        draw(axis, lines, [line["loss"][name] for line in lines], "C0")
        title, unit = _CURVES[name]
        axis.set_title(title, fontsize=10)
        axis.set_ylabel(unit, fontsize=8)
    speed = axes[-1]
    draw(speed, drawn, [line["tokens_per_s"] / 1000 for line in drawn], "C2")
    speed.set_title("thousand tokens per second", fontsize=10)
    # A bag is tens of times faster than blocks.
    speed.set_yscale("log")
    speed.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    speed.yaxis.set_major_formatter("{x:g}")
    speed.yaxis.set_minor_formatter(NullFormatter())
    joins = metrics[0]["stage"] != "full" and switch > 0
    for axis in axes:
        axis.set_xlabel(f"{clock} of training")
        # One time axis for all, though the blocks' objectives begin later.
        axis.set_xlim(0, 1.01 * max(end / a_unit, 1e-3))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if joins:
            axis.axvline(switch, color="0.6", lw=0.8, ls=":")
    if joins:
        # The first curve is one of the blocks': there is room before them.
        place = (switch, axes[0].get_ylim()[1])
        axes[0].annotate(
            "blocks join",
            place,
            (-3, 0),
            textcoords="offset points",
            fontsize=8,
            color="0.4",
            rotation=90,
            ha="right",
            va="top",
        )
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=150)
    return path
