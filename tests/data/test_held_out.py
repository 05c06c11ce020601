"""How much is held out: certainty by a worked interval, and options within what a corpus has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.held_out import ENOUGH, options_for_more, uncertainty


def test_uncertainty_of_a_share() -> None:
    # 1.96 standard errors of a share of one half: 0.5 / sqrt(n).
    assert [uncertainty(n) for n in (0, 1, 4, 25, ENOUGH, 400)] == [50, 50, 49, 20, 10, 5]


@pytest.mark.parametrize(
    ("train", "dev", "test", "options"),
    [
        (1_949, 19, 27, "--dev 79 --test 199"),
        (9_000, 0, 0, "--dev 200 --test 500"),
        (9_000, 300, 100, "--dev 300 --test 500"),
        (9_000, 200, 500, ""),
        (20, 0, 0, ""),  # a twenty-fifth of 20 is none
    ],
)
def test_options(train: int, dev: int, test: int, options: str) -> None:
    assert options_for_more({"train": train, "dev": dev, "test": test}) == options


@given(st.integers(0, 10**6), st.integers(0, 10**4), st.integers(0, 10**4))
def test_what_they_hold_out_is_there_and_more(train: int, dev: int, test: int) -> None:
    words = options_for_more({"train": train, "dev": dev, "test": test}).split()
    if words:
        new_dev, new_test = int(words[1]), int(words[3])
        assert new_dev + new_test <= train + dev + test
        assert new_dev >= dev
        assert new_test >= test
        assert new_dev + new_test > dev + test
