"""What the logs of a run say of a run of twice the length: its bits per byte and its retrieval.

The masked LM's training loss gives the shape of its curve: each line of metrics.jsonl is of texts that are
drawn anew, so there are many points. The level is the held-out one, which falls by less. Retrieval has the
points of panel.jsonl, and a curve in each stage: a run of twice the length has twice as much of both, so
their gains multiply.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xformer.evaluation.extrapolate import LEAST_POINTS, Curve
from xformer.runs.metrics import without_remnant

Lines = Sequence[Mapping[str, Any]]

Points = tuple[list[float], list[float], list[float]]
"""Tokens so far, each weighted by the learning rate of its step; a loss or an error; and the share by which
the learning rate has fallen: three lists of one length."""

TIMES = 2.0
_FURTHER = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
_RISEN = 1.01
"""Held-out bits per byte have risen if they are so many times the lowest."""
_SMALLEST_ERROR = 1e-3

_HELD_OUT = (0.85, 1.0, 0.7)
"""Held-out bits per byte fall by less than the training loss, which is of the texts that the run reads most.
The share, of logarithms, was 0.70 to 0.95 in three runs (docs/log/data-and-forecasts.md): the likely one, and
those of the interval's lower and upper end."""


@dataclass(frozen=True)
class Forecast:
    """A score at the end of a run of `TIMES` the length.

    Attributes:
        value: most likely.
        low: lower end of the interval of 80%.
        high: its upper end.
        reached_at: the least multiple of the length, among a few up to 16, at which the score is likely to
            be as good as the baseline; None where none is, or where it is so already.
    """

    value: float
    low: float
    high: float
    reached_at: float | None = None


@dataclass(frozen=True)
class Outlook:
    """Forecasts by score (`bits_per_byte`, `top1`), and why one is missing.

    Attributes:
        times: length of the run that is forecast, as a multiple of the run's own.
        forecasts: by score.
        missing: by score, why there is no forecast.
    """

    times: float = TIMES
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def outlook(
    metrics: Lines,
    panel: Lines,
    bits_per_byte: tuple[float, float] | None,
    top1: tuple[float, float] | None,
) -> Outlook:
    """Forecast a run of twice the length.

    Args:
        metrics: lines of metrics.jsonl.
        panel: lines of panel.jsonl.
        bits_per_byte: held-out score at the end, and that of its baseline; None for no forecast.
        top1: the same of retrieval.
    """
    found: dict[str, Forecast] = {}
    missing: dict[str, str] = {}
    if bits_per_byte is not None:
        now, baseline = bits_per_byte
        x, y, annealed = masked_lm_curve(metrics)
        if has_risen(panel):
            missing["bits_per_byte"] = "they have risen on held-out text while the run trained"
        elif len(x) < LEAST_POINTS:
            missing["bits_per_byte"] = _too_few(len(x), "metrics.jsonl after the learning rate's warm-up")
        else:
            found["bits_per_byte"] = _falling([Curve(x, y, annealed)], now, baseline, _HELD_OUT)
    if top1 is not None:
        now, baseline = top1
        stages = error_curves(metrics, panel)
        # The first stage brings most of retrieval. What the second adds is taken to stay if it is not known.
        curves = [Curve(*points) for points in stages if len(points[0]) >= LEAST_POINTS]
        if not stages or len(stages[0][0]) < LEAST_POINTS:
            where = "panel.jsonl in the run's first stage (training.panel_every sets how often)"
            missing["top1"] = _too_few(len(stages[0][0]) if stages else 0, where)
        else:
            error = _falling(curves, max(1 - now, _SMALLEST_ERROR), 1 - baseline)
            found["top1"] = Forecast(1 - error.value, 1 - error.high, 1 - error.low, error.reached_at)
    return Outlook(TIMES, found, missing)


def masked_lm_curve(metrics: Lines) -> Points:
    """The masked LM's loss over the training, from where the learning rate has reached its peak."""
    weighted, tokens = 0.0, 0
    points = []
    for line in without_remnant(metrics):
        if "masked_lm" in line["loss"]:
            factor = _factor(line, "matrices")
            half = factor * (line["tokens"] - tokens) / 2
            points.append((weighted + half, line["loss"]["masked_lm"], factor))
            weighted += 2 * half
        tokens = line["tokens"]
    return _from_peak([point for point in points if point[1] > 0])


def error_curves(metrics: Lines, panel: Lines) -> list[Points]:
    """The share of the panel's texts whose nearest text is no translation, over the training, by stage.

    Returns:
        Points as of `masked_lm_curve`: of the embedding warm-up, if the run has one, and of the full stage.
    """
    began, tokens = 0, 0
    curves = []
    warmup = [line for line in metrics if not {"masked_lm", "alignment"} & set(line["loss"])]
    for lines, group in ((warmup, "embedding"), (metrics[len(warmup) :], "matrices")):
        if not lines:
            continue
        steps, weighted, factors = [began], [0.0], [_factor(lines[0], group)]
        for line in lines:
            factors.append(_factor(line, group))
            weighted.append(weighted[-1] + factors[-1] * (line["tokens"] - tokens))
            steps.append(line["step"])
            began, tokens = line["step"], line["tokens"]
        seen = [
            (line["step"], max(1 - line["mean_top1"], _SMALLEST_ERROR))
            for line in panel
            if line.get("mean_top1") is not None and max(steps[0], 1) < line["step"] <= steps[-1]
        ]
        curves.append(
            _from_peak(
                [
                    (float(np.interp(step, steps, weighted)), error, float(np.interp(step, steps, factors)))
                    for step, error in seen
                ]
            )
        )
    return curves


def _factor(line: Mapping[str, Any], group: str) -> float:
    return float(line.get("lr_factor", {}).get(group, 1.0))


def _from_peak(points: Sequence[tuple[float, float, float]]) -> Points:
    """Points, given with the factor of the learning rate, from its peak on."""
    peak = max((factor for *_, factor in points), default=0.0)
    start = next((place for place, (*_, factor) in enumerate(points) if factor == peak), 0)
    kept = [point for point in points[start:] if point[0] > 0]
    return [x for x, *_ in kept], [y for _, y, _ in kept], [1 - factor / peak for *_, factor in kept]


def has_risen(panel: Lines) -> bool:
    """Whether held-out bits per byte have been lower before, for two evaluations of the panel or more."""
    bits = [line["mean_bits_per_byte"] for line in panel if line.get("mean_bits_per_byte") is not None]
    return len(bits) > 2 and min(bits[-2:]) > _RISEN * min(bits)


def _falling(
    curves: Sequence[Curve],
    now: float,
    baseline: float,
    passed_on: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Forecast:
    """A score that is better the lower, whose gains along the curves multiply.

    Args:
        curves: of what the score follows.
        now: the score.
        baseline: that of its baseline.
        passed_on: the share of the curves' gain, of its logarithm, that the score has: likely, low, high.
    """

    def times_now(times: float) -> tuple[float, float, float]:
        gains = [curve.gain(times) for curve in curves]
        ratios = zip(*((gain.ratio, gain.low, gain.high) for gain in gains), strict=True)
        likely, low, high = (
            now * math.prod(ratio) ** share for ratio, share in zip(ratios, passed_on, strict=True)
        )
        return likely, low, high

    reached = None
    if now > baseline:
        reached = next((times for times in _FURTHER if times_now(times)[0] <= baseline), None)
    return Forecast(*times_now(TIMES), reached)


def _too_few(count: int, log: str) -> str:
    lines = "line" if count == 1 else "lines"
    return f"too few points: {count} {lines} of {log}, {LEAST_POINTS} are needed"
