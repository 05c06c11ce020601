"""Temperature scaling (Guo et al. 2017): one number that makes a classifier as sure as it is right.

Logits are divided by it before they become probabilities, so no answer changes. It is found on the held-out
texts of the source languages, and kept in the run beside the step of its checkpoint.

Shapes: E texts, N classes.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xformer.evaluation.classification.metrics import Targets, scores
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.storage.structure import structure

_WIDEST = 3.0
"""The logarithm of a temperature lies between this and its negative."""


@dataclass(frozen=True)
class Temperature:
    """The temperature of a checkpoint, and what it does to the texts that it was found on.

    Attributes:
        step: of the checkpoint.
        temperature: what logits are divided by; above 1, the model was too sure.
        texts: number of held-out texts.
        log_loss_before: of these texts at temperature 1, in nats.
        log_loss: with the temperature.
        ece_before: expected calibration error at temperature 1.
        ece: with the temperature. It is of the texts that chose it; those of test texts are in the report.
    """

    step: int
    temperature: float
    texts: int
    log_loss_before: float
    log_loss: float
    ece_before: float
    ece: float

    @classmethod
    def of(cls, step: int, logits: Tensor, truth: Targets, multi_label: bool) -> Temperature:
        """Find it for a checkpoint from the logits (E, N) and labels (E, N) of held-out texts."""
        found = fit_temperature(logits, truth, multi_label)

        def at(temperature: float) -> tuple[float, float]:
            scaled = logits.double() / temperature
            probabilities = scaled.sigmoid() if multi_label else scaled.softmax(dim=1)
            of = scores(probabilities.numpy(), truth, multi_label)
            return of.log_loss, of.ece

        (loss_before, ece_before), (loss, ece) = at(1.0), at(found)
        return cls(step, found, len(truth), loss_before, loss, ece_before, ece)


def fit_temperature(logits: Tensor, truth: Targets, multi_label: bool) -> float:
    """The temperature with the smallest cross-entropy of labels that are smoothed a little (`smoothed`).

    A classifier that is right about all of few texts would have the temperature 0 without that. Where nothing
    tells temperatures apart, it is 1.

    Args:
        logits: (E, N), finite.
        truth: (E, N) labels of the texts.
        multi_label: whether a text may have several labels, or none: each class is a decision of its own.
    """
    logits = logits.double()
    targets = torch.from_numpy(smoothed(truth, multi_label))

    def cost(log: float) -> float:
        scaled = logits / math.exp(log)
        if multi_label:
            nats = F.binary_cross_entropy_with_logits(scaled, targets, reduction="sum")
        else:
            nats = -(scaled.log_softmax(dim=1) * targets).sum()
        return float(nats) + 1e-6 * log * log

    # A coarse search, then golden sections.
    grid = np.linspace(-_WIDEST, _WIDEST, 61).tolist()
    middle = min(grid, key=cost)
    low, high = max(middle - 0.1, -_WIDEST), min(middle + 0.1, _WIDEST)
    ratio = (math.sqrt(5) - 1) / 2
    while high - low > 1e-6:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if cost(left) < cost(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def smoothed(truth: Targets, multi_label: bool) -> NDArray[np.float64]:
    """Targets (E, N) for labels (E, N): of n texts, as sure as n + 1 right answers of n + 2 are (Platt 1999).

    Where a text may have several labels, decisions for and against a label are counted apart.
    """
    if multi_label:
        yes, no = int(truth.sum()), int((~truth).sum())
        return np.where(truth, (yes + 1) / (yes + 2), 1 / (no + 2))
    n, n_classes = truth.shape
    return np.where(truth, (n + 1) / (n + 2), 1 / (n + 2) / (n_classes - 1))


def recorded_temperature(run: RunDirectory, step: int) -> Temperature | None:
    """The temperature of the checkpoint of a step; None if it was not found, or the file cannot be read."""
    try:
        found = structure(json.loads(run.calibration.read_text(encoding="utf-8")), Temperature)
    except (OSError, ValueError):
        return None  # it is found again
    return found if found.step == step else None


def record_temperature(run: RunDirectory, found: Temperature) -> None:
    """Write it into the run, in the place of that of another checkpoint."""
    with atomic_write(run.calibration) as file:
        json.dump(asdict(found), file, indent=2, allow_nan=False)
        file.write("\n")
