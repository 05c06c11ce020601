"""The assignment of groups to splits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.groups import group_hash
from xformer.data.split import DEV, TEST, TRAIN, SplitSizes, assign_splits
from xformer.errors import InputError

GROUPS = np.array([group_hash(str(number)) for number in range(2000)], dtype=np.uint64)


def _assign(sizes: SplitSizes, seed: int = 0, n: int = 2000) -> np.ndarray:
    languages = np.arange(n) % 10 + 1
    return assign_splits(GROUPS[:n], languages, np.full(n, 5), sizes, seed)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 8), st.integers())
def test_counts_are_exact_and_only_eligible_groups_are_held_out(
    dev: int, test: int, least: int, seed: int
) -> None:
    split = _assign(SplitSizes(dev=dev, test=test, min_languages=least), seed)
    assert np.count_nonzero(split == DEV) == dev
    assert np.count_nonzero(split == TEST) == test
    assert np.all((np.arange(2000) % 10 + 1)[split != TRAIN] >= least)


def test_the_seed_and_nothing_else_decides() -> None:
    sizes = SplitSizes(dev=100, test=100)
    assert np.array_equal(_assign(sizes, seed=1), _assign(sizes, seed=1))
    assert not np.array_equal(_assign(sizes, seed=1), _assign(sizes, seed=2))
    order = np.random.default_rng(0).permutation(2000)
    shuffled = assign_splits(GROUPS[order], np.ones(2000, int), np.ones(2000, int), sizes, 1)
    straight = assign_splits(GROUPS, np.ones(2000, int), np.ones(2000, int), sizes, 1)
    assert np.array_equal(shuffled, straight[order])


def test_with_shares_a_group_stays_where_it_is_as_others_come() -> None:
    sizes = SplitSizes(dev=0.1, test=0.2)
    few, many = _assign(sizes, n=700), _assign(sizes)
    assert np.array_equal(few, many[:700])
    assert 150 < np.count_nonzero(many == DEV) < 250
    assert 320 < np.count_nonzero(many == TEST) < 480


def test_every_eligible_group_is_as_likely_as_any_other() -> None:
    held_out = sum(
        (_assign(SplitSizes(test=500, dev=0), seed, n=1000) == TEST).astype(int) for seed in range(200)
    )
    # Binomial(200, 1/2) has standard deviation 7.1; of a thousand draws none should be 5 of them off.
    assert abs(held_out - 100).max() < 36


def test_short_messages_can_be_kept_out_of_tests() -> None:
    chars = np.array([2, 30])
    split = assign_splits(GROUPS[:2], np.ones(2, int), chars, SplitSizes(dev=0, test=1, min_chars=8), 0)
    assert split.tolist() == [TRAIN, TEST]


def test_asking_for_more_than_there_is_is_an_error() -> None:
    with pytest.raises(
        InputError,
        match=r"250 groups for dev and test, but only 200 of 2,000 groups have at least 10 languages",
    ):
        _assign(SplitSizes(dev=50, test=200, min_languages=10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dev": 1.5}, "dev: expected a whole number of groups or a share below 1, got 1.5"),
        ({"test": -1}, "test: expected"),
        ({"dev": 10, "test": 0.5}, "two numbers or two shares"),
        ({"dev": 0.5, "test": 0.5}, "share below 1, got 0.5"),
        ({"min_languages": 0}, "min_languages: expected at least 1"),
        ({"min_chars": 0}, "min_chars: expected at least 1"),
        ({"dev": float("nan")}, "dev: expected"),
    ],
)
def test_impossible_sizes_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SplitSizes(**options)  # type: ignore[arg-type]
