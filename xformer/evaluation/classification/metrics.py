"""Scores of class probabilities: accuracy, F1, confusion, calibration.

Shapes: S seeds, E texts, U answers (one a text, or one a word), N classes, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating]
Targets = NDArray[np.bool_]

BINS = 15
RESAMPLES = 2_000
_TAIL = 2.5  # percent on each side
_COUNTS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence lies in one interval.

    Attributes:
        low: lower end of the interval.
        high: upper end.
        answers: how many there are.
        confidence: their mean confidence.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    answers: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Whether a confidence of 80% is right in 80%.

    Attributes:
        ece: expected calibration error (Guo et al. 2017): the mean distance of confidence and accuracy over
            the bins, weighted by their answers.
        bins: equally wide; without those that are empty.
    """

    ece: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Scores:
    """The scores of one classifier on one set of texts.

    Attributes:
        accuracy: share of texts whose labels are all right.
        macro_f1: mean of the classes' F1; classes that neither occur nor are predicted are left out.
        micro_f1: F1 of all decisions together; of one label a text, the accuracy.
        log_loss: mean negative log-probability of the truth, in nats: of a text, or where a text may have
            several labels, of a decision.
        ece: as in `Calibration`.
    """

    accuracy: float
    macro_f1: float
    micro_f1: float
    log_loss: float
    ece: float


def decisions(probabilities: Probabilities, multi_label: bool) -> Targets:
    """The labels (E, N) that are predicted: the most probable, or of several labels those above one half."""
    if multi_label:
        chosen: Targets = probabilities > 0.5
        return chosen
    found = np.zeros(probabilities.shape, dtype=bool)
    found[np.arange(len(found)), probabilities.argmax(axis=1)] = True
    return found


def right(probabilities: Probabilities, targets: Targets, multi_label: bool) -> NDArray[np.float64]:
    """Whether (E,) each text has exactly its labels: 0 or 1."""
    same: NDArray[np.float64] = (
        (decisions(probabilities, multi_label) == targets).all(axis=1).astype(np.float64)
    )
    return same


def scores(probabilities: Probabilities, targets: Targets, multi_label: bool) -> Scores:
    """All scores of probabilities (E, N) beside the truth (E, N)."""
    chosen = decisions(probabilities, multi_label)
    hits = (chosen & targets).sum(axis=0).astype(np.float64)
    either = (chosen.sum(axis=0) + targets.sum(axis=0)).astype(np.float64)
    occurring = either > 0
    f1 = 2 * hits[occurring] / either[occurring]
    p = np.clip(probabilities.astype(np.float64), 1e-12, 1.0)
    if multi_label:
        absent = np.clip(1.0 - probabilities.astype(np.float64), 1e-12, 1.0)
        loss = -np.where(targets, np.log(p), np.log(absent)).mean()
    else:
        loss = -np.log(p[targets]).mean()
    return Scores(
        accuracy=float((chosen == targets).all(axis=1).mean()),
        macro_f1=float(f1.mean()) if len(f1) else 0.0,
        micro_f1=float(2 * hits.sum() / max(either.sum(), 1.0)),
        log_loss=float(loss),
        ece=calibration(probabilities, targets, multi_label).ece,
    )


def confusion(probabilities: Probabilities, targets: Targets) -> NDArray[np.int64]:
    """How many texts (N, N) of each class, a row, were given each label, a column; one label a text."""
    n_classes = targets.shape[1]
    pairs = targets.argmax(axis=1) * n_classes + probabilities.argmax(axis=1)
    counts: NDArray[np.int64] = np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)
    return counts


def calibration(
    probabilities: Probabilities, targets: Targets, multi_label: bool, bins: int = BINS
) -> Calibration:
    """How confident the answers are, and how often they are right.

    The confidence of an answer is the probability of the label that was chosen. Where a text may have several
    labels, each class's probability is an answer of its own.
    """
    if multi_label:
        confidence, correct = probabilities.ravel(), targets.ravel()
    else:
        chosen = probabilities.argmax(axis=1)
        rows = np.arange(len(chosen))
        confidence, correct = probabilities[rows, chosen], targets[rows, chosen]
    confidence = confidence.astype(np.float64)
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    sure = np.bincount(place, weights=confidence, minlength=bins) / np.maximum(counts, 1)
    hit = np.bincount(place, weights=correct.astype(np.float64), minlength=bins) / np.maximum(counts, 1)
    found = tuple(
        Bin(at / bins, (at + 1) / bins, int(counts[at]), float(sure[at]), float(hit[at]))
        for at in np.flatnonzero(counts)
    )
    return Calibration(float((counts * np.abs(sure - hit)).sum() / max(counts.sum(), 1)), found)


def interval(
    values: NDArray[np.float64],
    sizes: NDArray[np.integer] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """The 95% interval of the mean over seeds and texts, by bootstrap of both (Efron 1979).

    What belongs together is drawn together: the words of a sentence.

    Args:
        values: (S, U) such as whether a seed's answer is right.
        sizes: (E,) how many of them belong to each text, in their order; None where each is a text.
        seed: of the resamples.
        resamples: R.

    Returns:
        The 2.5th and the 97.5th percentile of the means of the resamples.
    """
    if sizes is not None:
        ends = np.concatenate([[0], np.cumsum(sizes)])
        upto = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
        values = upto[:, ends[1:]] - upto[:, ends[:-1]]
    n_seeds, n_texts = values.shape
    weights = np.ones(n_texts) if sizes is None else sizes.astype(np.float64)
    rng, means = np.random.default_rng((seed, n_texts)), np.empty(resamples)
    rows = max(1, _COUNTS_AT_ONCE // n_texts)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        # How often each is drawn: the sum of the draws is then a product.
        texts = rng.multinomial(n_texts, np.full(n_texts, 1 / n_texts), size=stop - start) / n_texts
        seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=stop - start) / n_seeds
        means[start:stop] = ((texts @ values.T) * seeds).sum(axis=1) / np.maximum(texts @ weights, 1e-12)
    low, high = np.percentile(means, [_TAIL, 100 - _TAIL])
    return float(low), float(high)
