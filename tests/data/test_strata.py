"""Weights of examples: each weight gets its share of a language's draws, and goes through all its examples.

Shapes: L languages, C weights.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xformer.data.sampling import ByLanguage, LanguageSampler, language_shares
from xformer.data.strata import Strata, Weights

WEIGHTS = st.sampled_from([0.0, 0.01, 0.3, 1.0, 2.5, 400.0])
EXAMPLES = st.lists(st.tuples(st.integers(0, 2), WEIGHTS), min_size=1, max_size=40)
PERIOD = 1 << 14


def _sampler(examples: list[tuple[int, float]], seed: int = 1) -> LanguageSampler:
    language = np.array([tag for tag, _ in examples])
    by_language = ByLanguage(language, 3, weights=Weights.of(np.array([weight for _, weight in examples])))
    return LanguageSampler(by_language, language_shares(by_language.weight, 0.5), seed)


@given(EXAMPLES, st.integers(0, 5), st.integers(1, 3000))
@settings(max_examples=60)
def test_at_any_time_each_weight_has_its_share_of_its_language(
    examples: list[tuple[int, float]], seed: int, count: int
) -> None:
    assume(any(weight for _, weight in examples))
    draws = _sampler(examples, seed).draw(0, count)
    for language in range(3):
        mine = [weight for tag, weight in examples if tag == language]
        drawn = [examples[draw][1] for draw in draws.tolist() if examples[draw][0] == language]
        for weight in set(mine):
            share = mine.count(weight) * weight / (sum(mine) or 1)
            assert abs(drawn.count(weight) - share * len(drawn)) <= 2


@given(EXAMPLES, st.integers(0, 5))
@settings(max_examples=60)
def test_no_example_comes_again_before_all_of_its_language_and_weight_came(
    examples: list[tuple[int, float]], seed: int
) -> None:
    assume(any(weight for _, weight in examples))
    draws = _sampler(examples, seed).draw(0, 2000).tolist()
    for kind in set(examples):
        everything = [number for number, one in enumerate(examples) if one == kind]
        mine = [draw for draw in draws if examples[draw] == kind]
        size = len(everything)
        for first in range(0, len(mine) - size + 1, size):
            assert sorted(mine[first : first + size]) == everything
        assert len(set(mine[len(mine) // size * size :])) == len(mine) % size


@given(EXAMPLES, st.data())
@settings(max_examples=40)
def test_draws_with_weights_depend_on_their_number_alone(
    examples: list[tuple[int, float]], data: st.DataObject
) -> None:
    assume(any(weight for _, weight in examples))
    start, count = data.draw(st.integers(0, PERIOD + 9)), data.draw(st.integers(1, 50))
    whole = _sampler(examples).draw(0, start + count)
    assert _sampler(examples).draw(start, count).tolist() == whole[start:].tolist()
    together = [_sampler(examples).draw_together(number, 7) for number in (start, start + 1)]
    assert [_sampler(examples).draw_together(start, 7).tolist()] == [together[0].tolist()]
    assert len({examples[draw][0] for draw in together[1].tolist()}) == 1


@pytest.mark.parametrize("weight", [0.2, 1.0, 7.0])
def test_weights_that_are_all_the_same_change_no_share_and_weight_one_no_size(weight: float) -> None:
    language = np.repeat([0, 1], [30, 70])
    plain = ByLanguage(language, 2)
    same = ByLanguage(language, 2, weights=Weights.of(np.full(100, weight)))
    assert same.examples.tolist() == plain.examples.tolist()
    assert language_shares(same.weight, 0.5) == pytest.approx(language_shares(plain.weight, 0.5))
    assert same.weight == pytest.approx(weight * plain.size)


def test_examples_of_weight_zero_are_never_drawn_and_a_tiny_share_is() -> None:
    examples = [(0, 0.0)] * 5 + [(0, 1.0)] * 100 + [(0, 0.0001)] * 2
    draws = _sampler(examples).draw(0, 1_200_000 // 2)
    counts = np.bincount(draws, minlength=len(examples))
    assert counts[:5].sum() == 0
    assert counts[105:].sum() in (1, 2)  # 600,000 draws of a share of 2 in a million


def test_a_language_is_drawn_by_the_sum_of_its_weights() -> None:
    examples = [(0, 3.0)] * 10 + [(1, 1.0)] * 10 + [(1, 0.0)] * 50
    draws = _sampler(examples).draw(0, PERIOD)
    share = 3.0**0.5 / (3.0**0.5 + 1)
    assert abs(sum(examples[draw][0] == 0 for draw in draws.tolist()) - share * PERIOD) <= 1


def test_ranks_are_the_numbers_of_earlier_draws() -> None:
    counts = np.array([[4, 0, 9, 1], [0, 0, 3, 0]])
    strata = Strata(counts, np.array([0.5, 1.0, 2.0, 30.0]))
    phases = strata.phases(3)
    n = 500
    for language in (0, 1):
        places, ranks = strata.locate(np.full(n, language), np.arange(n), phases)
        assert sorted(set(places.tolist())) == list(range(np.count_nonzero(counts[language])))
        for place in set(places.tolist()):
            assert ranks[places == place].tolist() == list(range(np.count_nonzero(places == place)))
    assert strata.size.tolist() == [[4, 9, 1, 0], [3, 0, 0, 0]]


def test_weights_take_a_byte_each() -> None:
    found = Weights.of(np.array([0.0, 2.0, 0.0, 1.0]))
    assert found.of_example.dtype == np.uint8
    expected: NDArray[np.bool_] = np.array([False, True, False, True])
    assert found.positive.tolist() == expected.tolist()
