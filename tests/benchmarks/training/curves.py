"""What tests of the bench make by hand."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from xformer.benchmarks.training import TrainerName
from xformer.benchmarks.training.result import Point, Trained
from xformer.progress import Progress


def quiet() -> Progress:
    return Progress(Console(file=io.StringIO()))


def curve(name: TrainerName, *points: tuple[float, float | None, float | None], **fields: Any) -> Trained:
    made = tuple(Point(seconds, 0, bits, top1) for seconds, bits, top1 in points)
    return Trained(name, "ok", points=made, **fields)
