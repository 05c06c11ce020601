"""Selectivity: LAPE by hand, what chance finds, and planted neurons."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xformer.inspect.analysis.selectivity import (
    Use,
    activation_entropy,
    active_tokens,
    head_sizes,
    selectivity,
    typical_size,
)

LANGUAGES = 4
TEXTS = 80


def texts(rates: list[list[float]], seed: int = 0) -> tuple[Use, Tensor]:
    """Random texts: unit u is active on a token of language k with the probability `rates[k][u]`."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(TEXTS) % LANGUAGES
    tokens = torch.randint(3, 12, (TEXTS,), generator=generator)
    each = torch.tensor(rates, dtype=torch.float64)[labels]
    amount = torch.binomial(tokens[:, None].double().expand_as(each), each, generator=generator)
    return Use(amount, tokens), labels


def test_the_entropy_by_hand() -> None:
    use = torch.tensor([[0.5, 0.3, 0.0, 0.2], [0.0, 0.3, 0.0, 0.6]], dtype=torch.float64)
    found = activation_entropy(use).tolist()
    assert found[:2] == pytest.approx([0.0, math.log(2)])
    assert math.isnan(found[2])
    assert found[3] == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3))


def test_use_is_a_mean_over_tokens() -> None:
    use = Use(torch.tensor([[2.0], [1.0], [3.0]], dtype=torch.float64), torch.tensor([2, 8, 6]))
    assert use.by(torch.tensor([0, 0, 1]), 2).tolist() == [[0.3], [0.5]]


@settings(max_examples=25)
@given(seed=st.integers(0, 999), units=st.integers(1, 5))
def test_the_entropy_lies_between_none_and_all(seed: int, units: int) -> None:
    use = torch.rand(3, units, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found = activation_entropy(use)
    assert bool(((found >= -1e-12) & (found <= math.log(3) + 1e-12)).all())
    torch.testing.assert_close(activation_entropy(7 * use), found)  # not how much, but by whom


def test_planted_neurons_are_found_and_no_other() -> None:
    common = [0.3] * 40
    rates = [[0.5, *common], [0.0, *common], [0.0, *common], [0.0, *common]]
    found = selectivity(*texts(rates), LANGUAGES)
    assert found.selective.tolist() == found.own.tolist() == [True] + 40 * [False]
    assert int(found.label[0]) == 0
    assert float(found.shares[0, 0]) == 1.0
    assert found.by_chance == pytest.approx(0.05 * 41)


def test_a_unit_that_two_share_is_no_ones_own() -> None:
    found = selectivity(*texts([[0.6, 0.6], [0.6, 0.1], [0.0, 0.1], [0.0, 0.1]]), LANGUAGES)
    assert found.selective.tolist() == [True, True]
    assert found.own.tolist() == [False, True]


def test_where_labels_mean_nothing_nothing_is_selective_mostly() -> None:
    """Of 40 models without any structure, alpha 0.05 leaves some 2 in which a unit is called selective."""
    runs = [selectivity(*texts([[0.2] * 30] * LANGUAGES, seed), LANGUAGES, shuffles=40) for seed in range(40)]
    assert sum(bool(one.selective.any()) for one in runs) <= 5
    # Without the correction, chance alone fills a list.
    assert sum(one.uncorrected for one in runs) > 20


def test_units_that_are_hardly_used_can_be_left_out() -> None:
    use, labels = texts([[0.5, 0.001, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = selectivity(use, labels, LANGUAGES, least_use=0.05)
    assert found.selective.tolist() == [True, False, False]
    assert math.isnan(float(found.entropy[2]))
    silent = selectivity(Use(torch.zeros(TEXTS, 2, dtype=torch.float64), use.tokens), labels, LANGUAGES)
    assert not silent.selective.any()
    assert silent.by_chance == 0


def test_the_same_seed_gives_the_same() -> None:
    given_ = texts([[0.3, 0.1]] * LANGUAGES)
    one, two, other = (selectivity(*given_, LANGUAGES, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.score, two.score)
    assert not torch.equal(one.score, other.score)


def test_activity_and_sizes_by_hand() -> None:
    values = torch.tensor([[1.0, -3.0], [0.0, 1.0], [2.0, -1.0]])
    assert active_tokens(values).tolist() == [2.0, 1.0]
    assert active_tokens(values.abs(), torch.tensor([1.5, 0.5])).tolist() == [1.0, 3.0]
    assert typical_size([values[:1], values[1:]]).tolist() == pytest.approx(
        [math.sqrt(5 / 3), math.sqrt(11 / 3)]
    )


def test_sizes_of_heads_are_of_what_they_write() -> None:
    generator = torch.Generator().manual_seed(0)
    heads, output = (torch.randn(*size, generator=generator) for size in ((5, 3, 2), (4, 6)))
    expected = [
        sum(float((output[:, 2 * h : 2 * h + 2] @ heads[i, h]).norm()) for i in range(5)) for h in range(3)
    ]
    assert head_sizes(heads, output).tolist() == pytest.approx(expected)


def test_what_cannot_be_tested_is_said() -> None:
    use, labels = texts([[0.2]] * LANGUAGES)
    with pytest.raises(ValueError, match="80 labels"):
        selectivity(use, labels[:3], LANGUAGES)
    with pytest.raises(ValueError, match="at least 1 / alpha"):
        selectivity(use, labels, LANGUAGES, alpha=0.01, shuffles=50)
