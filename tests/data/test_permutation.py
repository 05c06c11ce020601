"""Permutations that are computed for each element."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from xformer.data.counter_rng import random_bits
from xformer.data.permutation import permuted


def _order(size: int, key: int) -> NDArray[np.int64]:
    return permuted(np.arange(size), np.full(size, size), np.repeat(random_bits(key), size))


@given(st.integers(1, 3_000), st.integers(0, 2**64 - 1))
@example(1, 0)
@example(4, 0)
def test_each_place_is_met_once(size: int, key: int) -> None:
    assert np.sort(_order(size, key)).tolist() == list(range(size))


@given(st.lists(st.tuples(st.integers(1, 2**40), st.integers(0, 2**40), st.integers(0, 9)), min_size=1))
def test_a_place_is_found_alone_as_among_others(asked: list[tuple[int, int, int]]) -> None:
    size = np.array([row[0] for row in asked])
    place = np.array([row[1] for row in asked]) % size
    key = random_bits(np.array([row[2] for row in asked]))
    found = permuted(place, size, key)
    assert (found >= 0).all()
    assert (found < size).all()
    alone = [int(permuted(place[[i]], size[[i]], key[[i]])[0]) for i in range(len(asked))]
    assert found.tolist() == alone


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6])
def test_all_orders_of_a_few_come_equally_often(size: int) -> None:
    keys, orders = 40_000, factorial(size)
    places = np.tile(np.arange(size), keys)
    found = permuted(places, np.full(len(places), size), np.repeat(random_bits(11, np.arange(keys)), size))
    codes = found.reshape(keys, size) @ size ** np.arange(size)
    counts = np.unique(codes, return_counts=True)[1]
    assert len(counts) == orders
    expected = keys / orders
    chi = float(((counts - expected) ** 2 / expected).sum())
    assert chi < orders - 1 + 5 * (2 * orders) ** 0.5


def test_of_many_each_goes_anywhere_and_neighbours_part() -> None:
    size, keys = 1_000, 300
    orders = np.stack([_order(size, key) for key in range(keys)])
    assert np.abs(orders.mean(axis=0) - (size - 1) / 2).max() < 5 * size / (12 * keys) ** 0.5
    # Two random numbers below n are n/3 apart on average, by a deviation of n/√18: 0.13% of it in all here.
    assert np.abs(np.diff(orders, axis=1)).mean() == pytest.approx(size / 3, rel=0.01)
    # A shuffled order has one fixed place on average, and so have two orders in common.
    assert (orders == np.arange(size)).sum(axis=1).mean() == pytest.approx(1, abs=5 / keys**0.5)
    assert (orders[1:] == orders[:-1]).sum(axis=1).mean() == pytest.approx(1, abs=5 / keys**0.5)


def test_none_is_none() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert permuted(none, none, random_bits(none)).tolist() == []
