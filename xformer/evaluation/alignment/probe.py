"""Can a linear model tell the language of a text from its vector?

Shapes: E texts, K languages, M messages held out, C vector width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.evaluation.outside.bootstrap import interval

_RIDGE = 1e-3
"""Of the mean eigenvalue of the vectors' covariance, added to each."""


@dataclass(frozen=True)
class Probe:
    """How often the language is told.

    Attributes:
        accuracy: mean over held-out messages of the share of their texts whose language is found.
        low: lower end of its 95% interval, by bootstrap over messages; None with one message.
        high: upper end.
        chance: the accuracy of who always says the language that is commonest among the others.
    """

    accuracy: float
    low: float | None
    high: float | None
    chance: float


def language_probe(
    vectors: Tensor, language: NDArray[np.integer], group: NDArray[np.integer], seed: int = 0
) -> Probe:
    """Fit a linear probe on half of the messages, and ask it for the languages of the other half.

    A probe shows what can be read from vectors (Alain and Bengio 2017); that of a language-neutral space is
    at chance (Libovický et al. 2020 call it language identification). It is ridge regression on one-hot
    languages: `W = (XᵀX + λI)⁻¹ XᵀY` of centred X and Y, and the language with the largest output is its
    answer. No message is on both sides, so it cannot know a text by its translation.

    Args:
        vectors: (E, C).
        language: (E,) numbers.
        group: (E,) message of each text.
        seed: which messages are held out, and of the resamples.

    Raises:
        ValueError: the arrays differ in length, or there are fewer than two messages or two languages.
    """
    if not len(vectors) == len(language) == len(group):
        raise ValueError("language_probe: expected a language and a message for each vector")
    tags, label = np.unique(language, return_inverse=True)
    messages = np.unique(group)
    if len(messages) < 2 or len(tags) < 2:
        raise ValueError("language_probe: expected two messages and two languages or more")
    order = np.random.default_rng(seed).permutation(messages)
    known = np.isin(group, order[: (len(order) + 1) // 2])
    x, y = vectors.double(), torch.nn.functional.one_hot(torch.from_numpy(label), len(tags)).double()
    seen, asked = (torch.from_numpy(np.flatnonzero(rows)) for rows in (known, ~known))
    centre, mean = x[seen].mean(dim=0), y[seen].mean(dim=0)
    inputs = x[seen] - centre
    square = inputs.T @ inputs
    ridge = _RIDGE * square.diagonal().mean().clamp(min=1e-12)
    square.diagonal().add_(ridge)
    weight = torch.linalg.solve(square, inputs.T @ (y[seen] - mean))
    answer = ((x[asked] - centre) @ weight + mean).argmax(dim=1).numpy()
    right = (answer == label[~known]).astype(np.float64)
    commonest = np.bincount(label[known], minlength=len(tags)).argmax()
    by_message = _by_message(right, group[~known])
    low, high = interval(by_message, seed) or (None, None)
    always = _by_message((label[~known] == commonest).astype(np.float64), group[~known])
    return Probe(float(by_message.mean()), low, high, float(always.mean()))


def _by_message(values: NDArray[np.float64], group: NDArray[np.integer]) -> NDArray[np.float64]:
    """(M,) the mean of each message's texts."""
    _, place, counts = np.unique(group, return_inverse=True, return_counts=True)
    means: NDArray[np.float64] = np.bincount(place, weights=values) / counts
    return means
