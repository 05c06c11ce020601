"""How much a score of heads differs between languages, and how much it would by chance.

Shapes: E texts, K languages, H heads (of all layers), S scores.

    spread[h, s] = max_k mean[k, h, s] - min_k mean[k, h, s]

The range of K means grows with K and with their noise, whether languages differ or not. So labels of texts
are shuffled, and a head's spread counts if it exceeds, for its score, what the largest spread of all heads
exceeds in a share alpha / S of the shuffles (Westfall and Young 1993; Bonferroni over scores).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LanguageSpread:
    """The difference between the languages that differ most, for each head and score.

    Attributes:
        spread: (H, S); NaN where fewer than two languages have a mean.
        lowest: (H, S) number of the language with the lowest mean.
        highest: (H, S) number of the language with the highest.
        threshold: (S,) what chance exceeds in a share alpha of all tables.
    """

    spread: Tensor
    lowest: Tensor
    highest: Tensor
    threshold: Tensor

    @property
    def beyond_chance(self) -> Tensor:
        """(H, S) bool: the spread is more than chance gives."""
        return self.spread > self.threshold

    @property
    def largest(self) -> Tensor:
        """(H,) number of the score whose spread is largest beside its threshold."""
        return (self.spread / self.threshold.clamp(min=1e-12)).nan_to_num(-1).argmax(dim=-1)


def language_means(values: Tensor, labels: Tensor, n_labels: int) -> Tensor:
    """The mean of each language's texts: (K, …), NaN where it has none.

    Args:
        values: (E, …) fp64; what is NaN is left out of the mean.
        labels: (E,) numbers from 0 to K - 1.
        n_labels: K.
    """
    member = torch.nn.functional.one_hot(labels, n_labels).T.to(values.dtype)
    flat = values.flatten(1)
    known = ~flat.isnan()
    means = (member @ flat.nan_to_num(0.0)) / (member @ known.to(values.dtype))
    return means.reshape(n_labels, *values.shape[1:])


def language_spread(
    values: Tensor,
    labels: Tensor,
    n_labels: int,
    *,
    alpha: float = 0.05,
    shuffles: int = 200,
    seed: int = 0,
) -> LanguageSpread:
    """Compare the means of languages, and of languages whose texts are shuffled.

    Args:
        values: (E, H, S) fp64 scores of each text; NaN where a text has none.
        labels: (E,) language of each text, from 0 to K - 1.
        n_labels: K.
        alpha: chance that any head is wrongly said to differ in any score.
        shuffles: how many, at least S / alpha.
        seed: of the shuffles.

    Raises:
        ValueError: there are fewer than two languages, or too few shuffles.
    """
    n_scores = values.shape[-1]
    if n_labels < 2 or len(labels) != len(values):
        raise ValueError(f"language_spread: expected {len(values)} labels of two languages or more")
    if (shuffles + 1) * alpha < n_scores:
        raise ValueError(f"shuffles: expected at least {n_scores} / alpha, got {shuffles}")
    means = language_means(values, labels, n_labels)
    generator = torch.Generator().manual_seed(seed)
    largest = torch.stack(
        [
            _range(language_means(values, labels[torch.randperm(len(labels), generator=generator)], n_labels))
            .nan_to_num(0.0)
            .amax(dim=0)
            for _ in range(shuffles)
        ]
    )
    missing = means.isnan()
    return LanguageSpread(
        spread=torch.where((~missing).sum(dim=0) > 1, _range(means), torch.nan),
        lowest=torch.where(missing, torch.inf, means).argmin(dim=0),
        highest=torch.where(missing, -torch.inf, means).argmax(dim=0),
        threshold=largest.sort(dim=0, descending=True).values[int(alpha / n_scores * (shuffles + 1)) - 1],
    )


def _range(means: Tensor) -> Tensor:
    """The largest less the smallest of the first axis, where there are any."""
    missing = means.isnan()
    high = torch.where(missing, -torch.inf, means).amax(dim=0)
    low = torch.where(missing, torch.inf, means).amin(dim=0)
    return torch.where(missing.all(dim=0), torch.nan, high - low)
