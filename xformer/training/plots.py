"""The loss curves of a run as a picture."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from xformer.files import atomic_write

_TITLES = {
    "masked_lm": "masked LM (nats per token)",
    "translation_lm": "translation LM (nats per token)",
    "alignment": "alignment (nats per text)",
    "bag_alignment": "alignment without blocks (nats per text)",
}


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

    names = [name for name in _TITLES if any(name in line["loss"] for line in metrics)]
    figure = Figure(figsize=(4.2 * (len(names) + 1), 3.4), layout="constrained")
    axes = figure.subplots(1, len(names) + 1, squeeze=False)[0]
    switch = next((line["elapsed"] / 60 for line in metrics if line["stage"] == "full"), 0.0)
    for axis, name in zip(axes, names, strict=False):
        lines = [line for line in metrics if name in line["loss"]]
        axis.plot([line["elapsed"] / 60 for line in lines], [line["loss"][name] for line in lines], lw=1.2)
        axis.set_title(_TITLES[name], fontsize=10)
    speed = axes[-1]
    speed.plot(
        [x["elapsed"] / 60 for x in metrics], [x["tokens_per_s"] / 1000 for x in metrics], lw=1.2, c="C2"
    )
    speed.set_title("thousand tokens per second", fontsize=10)
    # A bag is tens of times faster than blocks.
    speed.set_yscale("log")
    for axis in axes:
        axis.set_xlabel("minutes of training")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if metrics[0]["stage"] == "bag" and switch:
            axis.axvline(switch, color="0.6", lw=0.8, ls=":")
    if metrics[0]["stage"] == "bag" and switch:
        speed.annotate(
            "blocks join", (switch, speed.get_ylim()[1]), fontsize=8, color="0.4", va="top", rotation=90
        )
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=150)
    return path
