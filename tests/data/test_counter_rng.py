"""The counter-based random number generator: its definition, published values and distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.counter_rng import fold_in, integers, random_bits, uniform

PARTS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4)


def _by_definition(place: list[int]) -> int:
    """SplitMix64's finaliser in Python's own numbers."""
    bits, modulus = 0, 1 << 64
    for part in place:
        bits = ((bits ^ part) + 0x9E3779B97F4A7C15) % modulus
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % modulus
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % modulus
        bits ^= bits >> 31
    return bits


@given(PARTS)
def test_it_is_its_definition(place: list[int]) -> None:
    assert random_bits(*place).tolist() == [_by_definition(place)]
    assert fold_in(random_bits(*place[:-1]), place[-1]).tolist() == [_by_definition(place)]


def test_the_published_sequence() -> None:
    """The first numbers of SplitMix64 from seed 1234567, as in the tests of its implementations."""
    golden = 0x9E3779B97F4A7C15
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(random_bits((1234567 + turn * golden) % 2**64)[0]) for turn in range(3)] == published


def test_places_broadcast() -> None:
    table = random_bits(7, np.arange(3)[:, None], np.arange(4, dtype=np.uint16))
    assert table.tolist() == [[_by_definition([7, a, b]) for b in range(4)] for a in range(3)]


def test_neighbouring_places_have_nothing_in_common() -> None:
    """Each of 64 bits is as often set as not, and half of them differ from those of the next place."""
    place = random_bits(3, np.arange(20_000))
    bits = (place[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    deviation = 0.5 / 20_000**0.5
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * deviation
    assert np.abs((bits[1:] != bits[:-1]).mean(axis=0) - 0.5).max() < 5 * deviation
    assert np.abs((bits != bits[:, ::-1]).mean(axis=0) - 0.5).max() < 5 * deviation


def test_numbers_are_even() -> None:
    count = 50_000
    shares = uniform(random_bits(np.arange(count)))
    assert shares.min() >= 0.0
    assert shares.max() < 1.0
    assert shares.mean() == pytest.approx(0.5, abs=5 * (1 / 12 / count) ** 0.5)
    for limit in (1, 2, 7, 100):
        found = np.bincount(integers(random_bits(limit, np.arange(count)), limit), minlength=limit)
        assert len(found) == limit
        expected = count / limit
        chi = float(((found - expected) ** 2 / expected).sum())
        assert chi < limit - 1 + 5 * (2 * limit) ** 0.5
    assert integers(random_bits(np.arange(9)), 2**32).max() > 2**31
    top = np.array([2**64 - 1], dtype=np.uint64)
    assert (float(uniform(top)[0]), integers(top, 2**32).tolist()) == (1 - 2**-53, [2**32 - 1])
