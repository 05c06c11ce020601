"""The spread between languages: by hand, what chance gives, and a planted difference."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from xformer.inspect.analysis.language_spread import language_means, language_spread

LABELS = torch.arange(60) % 3


def noise(seed: int, heads: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(60, heads, 2, dtype=torch.float64, generator=generator)


def test_means_by_hand() -> None:
    values = torch.tensor([[1.0, 5.0], [3.0, math.nan], [7.0, 9.0]], dtype=torch.float64)
    found = language_means(values, torch.tensor([0, 0, 2]), 3)
    assert found[0].tolist() == [2.0, 5.0]
    assert found[1].isnan().all()
    assert found[2].tolist() == [7.0, 9.0]


def test_the_spread_by_hand() -> None:
    values = torch.tensor([[[0.2]], [[0.4]], [[0.9]], [[0.1]], [[math.nan]]], dtype=torch.float64)
    found = language_spread(values, torch.tensor([0, 0, 1, 2, 3]), 4)
    assert float(found.spread) == pytest.approx(0.8)
    assert (int(found.lowest), int(found.highest)) == (2, 1)


def test_a_planted_difference_is_found_and_no_other() -> None:
    values = noise(0)
    values[LABELS == 1, 5, 1] += 1.0
    found = language_spread(values, LABELS, 3)
    assert found.beyond_chance.nonzero().tolist() == [[5, 1]]
    assert int(found.highest[5, 1]) == 1
    assert int(found.largest[5]) == 1


def test_chance_alone_is_seldom_taken_for_a_difference() -> None:
    wrong = [
        bool(language_spread(noise(seed, 4), LABELS, 3, shuffles=60).beyond_chance.any())
        for seed in range(1, 41)
    ]
    assert sum(wrong) <= 6


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(ValueError, match="two languages"):
        language_spread(noise(0), torch.zeros(60, dtype=torch.int64), 1)
    with pytest.raises(ValueError, match="shuffles"):
        language_spread(noise(0), LABELS, 3, shuffles=20)
