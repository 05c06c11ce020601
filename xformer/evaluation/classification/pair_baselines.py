"""Baselines for pairs of texts: logistic regression on one or two numbers of each pair.

Shapes: M training pairs, E pairs, F numbers of a pair, N classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.evaluation.classification.metrics import Probabilities, Targets

Numbers = NDArray[np.float64]

_RIDGE = 1e-3
_STEPS = 100
_SMALL = 1e-8


def length_ratios(pairs: Sequence[tuple[str, str]]) -> Numbers:
    """(E, 2) the logarithm of the two lengths' ratio, in characters, and its size."""
    ratio = np.array([np.log((1 + len(other)) / (1 + len(one))) for one, other in pairs]).reshape(-1)
    return np.stack([ratio, np.abs(ratio)], axis=1)


def regression(train: Numbers, targets: Targets) -> Callable[[Numbers], Probabilities]:
    """Fit softmax regression on a few numbers: of one number and two classes, a threshold.

    Numbers are standardised. Newton's method, with a ridge that is too small to matter unless the classes can
    be told apart without a mistake.

    Args:
        train: (M, F).
        targets: (M, N) with one class each.

    Returns:
        A function from numbers (E, F) to probabilities (E, N).
    """
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    n_classes = targets.shape[1]

    def with_one(numbers: Numbers) -> Numbers:
        return np.hstack([(numbers - mean) / deviation, np.ones((len(numbers), 1))])

    x, y = with_one(train), targets.astype(np.float64)
    size = x.shape[1]
    weights = np.zeros((size, n_classes))
    for _ in range(_STEPS):
        p = _softmax(x @ weights)
        gradient = x.T @ (p - y) / len(x) + _RIDGE * weights
        hessian = np.zeros((size, n_classes, size, n_classes))
        for one in range(n_classes):
            for other in range(n_classes):
                curve = p[:, one] * ((one == other) - p[:, other])
                hessian[:, one, :, other] = (x * curve[:, None]).T @ x / len(x)
        square = hessian.reshape(size * n_classes, -1) + _RIDGE * np.eye(size * n_classes)
        step = np.linalg.solve(square, gradient.ravel()).reshape(weights.shape)
        # Far from the optimum a whole step may overshoot.
        weights -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), _SMALL))
        if np.abs(step).max() < _SMALL:
            break
    return lambda numbers: _softmax(with_one(numbers) @ weights)


def _softmax(logits: Numbers) -> Numbers:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Numbers = raised / raised.sum(axis=1, keepdims=True)
    return found
