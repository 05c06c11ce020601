"""Sampling: shares of languages, and the order of texts.

Shapes: L languages, E examples, K slots of a period.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xformer.data.sampling import ByLanguage, LanguageSampler, language_shares
from xformer.errors import InputError

COUNTS = st.lists(st.integers(0, 10_000), min_size=1, max_size=8)
PERIOD = 1 << 14


@given(COUNTS, st.floats(0, 1))
def test_shares_follow_the_power_of_the_counts(counts: list[int], alpha: float) -> None:
    assume(any(counts))
    wish = [n**alpha if n else 0.0 for n in counts]
    shares = language_shares(np.array(counts), alpha)
    assert shares == pytest.approx([w / sum(wish) for w in wish])
    assert shares.sum() == pytest.approx(1.0)


def _capped(counts: list[int], alpha: float, most: float) -> list[float]:
    """The same by another way: shares are min(limit, t·wish); the t at which they sum to 1, by bisection."""
    wish = [n**alpha if n else 0.0 for n in counts]
    limit = [most * n / sum(counts) for n in counts]
    low, high = 0.0, sum(limit) / min(w for w in wish if w)
    for _ in range(200):
        middle = (low + high) / 2
        total = sum(min(a, middle * w) for a, w in zip(limit, wish, strict=True))
        low, high = (middle, high) if total < 1 else (low, middle)
    return [min(a, high * w) for a, w in zip(limit, wish, strict=True)]


@given(COUNTS, st.floats(0, 1), st.floats(1, 20))
def test_no_text_repeats_more_than_the_cap_and_the_rest_goes_to_the_others(
    counts: list[int], alpha: float, most: float
) -> None:
    assume(any(counts))
    shares = language_shares(np.array(counts), alpha, most)
    assert shares.sum() == pytest.approx(1.0)
    assert (shares * sum(counts) <= np.array(counts) * most * (1 + 1e-9)).all()
    assert shares == pytest.approx(_capped(counts, alpha, most), abs=1e-9)


def test_a_cap_of_one_leaves_the_languages_their_own_sizes() -> None:
    assert language_shares(np.array([1, 9, 90]), 0.0, 1.0) == pytest.approx([0.01, 0.09, 0.9])


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="expected at least one text, found none"):
        language_shares(np.zeros(3, dtype=np.int64), 0.5)


language_of = np.random.default_rng(5).permutation(np.repeat([0, 1, 3], [700, 40, 3]))
SHARES = np.array([0.6, 0.3, 0.0, 0.1])
EXAMPLES = ByLanguage(language_of, 4)


@pytest.fixture(scope="module")
def sampler() -> LanguageSampler:
    return LanguageSampler(EXAMPLES, SHARES, seed=1)


@pytest.fixture(scope="module")
def draws(sampler: LanguageSampler) -> NDArray[np.int64]:
    """Two periods and a half."""
    return sampler.draw(0, 5 * PERIOD // 2)


@given(data=st.data())
@settings(max_examples=25)
def test_draws_depend_on_their_number_alone(
    sampler: LanguageSampler, draws: NDArray[np.int64], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(draws)) | st.integers(PERIOD - 3, PERIOD + 3))
    count = data.draw(st.integers(0, min(300, len(draws) - start)))
    fresh = LanguageSampler(EXAMPLES, SHARES, seed=1)
    for source in (sampler, fresh):
        assert source.draw(start, count).tolist() == draws[start : start + count].tolist()


def test_workers_that_take_turns_share_one_sequence(
    sampler: LanguageSampler, draws: NDArray[np.int64]
) -> None:
    size, workers = 37, 3
    taken = [
        [sampler.draw((step * workers + worker) * size, size) for step in range(20)]
        for worker in range(workers)
    ]
    interleaved = np.concatenate([taken[worker][step] for step in range(20) for worker in range(workers)])
    assert interleaved.tolist() == draws[: len(interleaved)].tolist()


def test_every_period_has_each_language_in_its_share(draws: NDArray[np.int64]) -> None:
    for period in range(2):
        part = language_of[draws[period * PERIOD : (period + 1) * PERIOD]]
        assert np.abs(np.bincount(part, minlength=4) - SHARES * PERIOD).max() <= 1


def test_inside_a_period_languages_are_mixed(draws: NDArray[np.int64]) -> None:
    for first in range(0, PERIOD, 1024):
        share = np.bincount(language_of[draws[first : first + 1024]], minlength=4) / 1024
        assert np.abs(share - SHARES).max() < 4 * (0.25 / 1024) ** 0.5


def test_a_language_comes_whole_before_any_of_it_comes_again(draws: NDArray[np.int64]) -> None:
    orders = []
    for language in (0, 1, 3):
        mine = draws[language_of[draws] == language]
        everything = np.flatnonzero(language_of == language).tolist()
        epochs = [mine[a:b].tolist() for a, b in pairwise(range(0, len(mine) + 1, len(everything)))]
        assert len(epochs) > 20
        assert all(sorted(epoch) == everything for epoch in epochs)
        orders.append(len({tuple(epoch) for epoch in epochs}) / len(epochs))
    assert orders[:2] == [1.0, 1.0]  # every epoch in another order


def test_another_seed_is_another_sequence(draws: NDArray[np.int64]) -> None:
    other = LanguageSampler(EXAMPLES, SHARES, seed=2).draw(0, 1000)
    assert (language_of[other] != language_of[draws[:1000]]).any()
    firsts = [Counter(source[language_of[source] == 0][:50].tolist()) for source in (other, draws)]
    assert firsts[0] != firsts[1]


def test_examples_drawn_together_are_of_one_language_and_go_through_all_of_them() -> None:
    language = np.array([0] * 30 + [1] * 20 + [2] * 10)
    sampler = LanguageSampler(ByLanguage(language, 3), np.array([0.5, 0.3, 0.2]), seed=3)
    calls = [sampler.draw_together(number, 5) for number in range(60)]
    assert all(len(set(language[call].tolist())) == 1 for call in calls)
    first = {tag: [call for call in calls if language[call[0]] == tag] for tag in range(3)}
    for tag, count in ((0, 30), (1, 20), (2, 10)):
        epoch = np.concatenate(first[tag][: count // 5])
        assert sorted(epoch.tolist()) == np.flatnonzero(language == tag).tolist()
    assert all(np.array_equal(call, sampler.draw_together(number, 5)) for number, call in enumerate(calls))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_examples_are_sorted_by_language_in_few_bytes(languages: list[int], data: st.DataObject) -> None:
    language = np.array(languages, dtype=np.uint16)
    some = data.draw(st.none() | st.sets(st.integers(0, len(languages) - 1), min_size=1))
    among = None if some is None else np.array(sorted(some))
    found = ByLanguage(language, 5, among)
    assert found.examples.dtype == np.uint8
    everything = range(len(languages)) if some is None else sorted(some)
    for number, (first, size) in enumerate(zip(found.first.tolist(), found.size.tolist(), strict=True)):
        mine = [example for example in everything if languages[example] == number]
        assert found.examples[first : first + size].tolist() == mine
