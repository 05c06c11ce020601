"""A run's curves over its training time: charts for its page, and loss.png."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xformer.plotting.charts import Axis, Figure, LineChart, Series
from xformer.plotting.png import png
from xformer.runs.metrics import without_remnant
from xformer.storage.files import write_files

Metrics = Sequence[Mapping[str, Any]]

_LOSSES = {
    "masked_lm": "Masked LM, nats per hidden token",
    "translation_lm": "Translation LM, nats per hidden token",
    "alignment": "Alignment, nats per text",
    "bag_alignment": "Alignment without blocks, nats per text",
    "distillation": "Distillation, 1 − cosine per text",
}


@dataclass(frozen=True)
class Clock:
    """The time axis that all charts of a run share.

    Attributes:
        axis: from 0 to the last line of the log, marked where the embedding warm-up stage ends.
        unit: of the axis, in seconds.
    """

    axis: Axis
    unit: float

    @classmethod
    def of(cls, metrics: Metrics, *others: Metrics) -> Clock:
        """The axis of a run's metrics.jsonl, long enough for its other logs."""
        end = max((line["elapsed"] for lines in (metrics, *others) for line in lines), default=0.0)
        name, unit = ("minutes", 60.0) if end >= 120 else ("seconds", 1.0)
        joined = next((line["elapsed"] for line in metrics if line["stage"] == "full"), None)
        marks: tuple[tuple[float, str], ...] = ()
        name = f"{name} of training"
        if joined is not None and metrics[0]["stage"] != "full":
            event = "the full stage begins"
            marks, name = ((joined / unit, event),), f"{name}; dotted: {event}"
        return cls(Axis(name, (0.0, end / unit) if end else None, marks=marks), unit)

    def series(self, lines: Metrics, name: str, *keys: str | int, times: float = 1.0) -> Series:
        """What lies under `keys` in each line that has it, times a factor, over the time."""
        points = []
        for line in lines:
            found: Any = line
            for key in keys:
                if isinstance(key, int):
                    found = found[key] if isinstance(found, list) and key < len(found) else None
                else:
                    found = found.get(key) if isinstance(found, Mapping) else None
            if found is not None:
                points.append((line["elapsed"] / self.unit, times * found))
        return Series(name, points)

    def chart(self, title: str, *series: Series, log: bool = False) -> LineChart:
        """A chart over the time."""
        return LineChart(title, self.axis, series, Axis(log=log), lasts=True)


def loss_charts(metrics: Metrics) -> list[LineChart]:
    """The loss of each objective that was trained, and the tokens per second, over the time."""
    clock, means = Clock.of(metrics), without_remnant(metrics)
    charts = [
        clock.chart(title, clock.series(means, "last", "loss", name))
        for name, title in _LOSSES.items()
        if any(name in line["loss"] for line in means)
    ]
    # Logarithmic: the embedding warm-up stage is tens of times faster than the stage with blocks.
    return [*charts, clock.chart("Tokens per second", clock.series(means, "last", "tokens_per_s"), log=True)]


def plot_losses(metrics: Metrics, path: Path) -> Path | None:
    """Draw each objective's loss, and the tokens per second, over the training time.

    Args:
        metrics: the lines of metrics.jsonl.
        path: the PNG file to write.

    Returns:
        `path`, or None where matplotlib is not installed or there is nothing to draw.
    """
    picture = png(Figure(loss_charts(metrics), legend=False)) if metrics else None
    return next(iter(write_files([(path, picture)])), None)
