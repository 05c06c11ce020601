"""The rule by which results are judged."""

from __future__ import annotations

import math

import pytest
import torch

from xformer.benchmarks.accuracy import FORGIVEN, Yardstick, largest_errors, yardstick

BY = Yardstick(
    own={"out": 1e-3, "dq": 1e-2}, rounding={"out": 4e-4, "dq": 0.0}, largest={"out": 1.0, "dq": 0.0}
)


def test_the_worst_result_counts() -> None:
    multiple, worst = BY.multiple({"out": 1e-3, "dq": 3e-2}, ["out", "dq"])
    assert multiple == pytest.approx(3.0)
    assert worst == "dq"
    assert BY.multiple({"out": 1e-3, "dq": 3e-2}, ["out"]) == (1.0, "out")
    assert BY.multiple({"out": math.nan, "dq": 3e-2}, ["out", "dq"]) == (math.inf, "out")


@pytest.mark.parametrize(
    ("error", "passes"),
    [(2.7e-3, True), (2.79e-3, True), (2.81e-3, False), (math.nan, False), (math.inf, False)],
)
def test_at_most_twice(error: float, passes: bool) -> None:
    """Twice PyTorch's error and twice the rounding, and next to nothing more."""
    assert BY.passes({"out": error}, ["out"]) is passes


def test_where_pytorch_is_exact_a_little_is_forgiven() -> None:
    exact = Yardstick({"out": 0.0}, {"out": 0.0}, {"out": 10.0})
    assert exact.passes({"out": 0.9 * 10 * FORGIVEN}, ["out"])
    assert not exact.passes({"out": 1.1 * 10 * FORGIVEN}, ["out"])
    assert exact.multiple({"out": 0.0}, ["out"]) == (0.0, "out")
    assert exact.multiple({"out": 1e-9}, ["out"]) == (math.inf, "out")


def test_yardstick_of_real_tensors() -> None:
    true = {"out": torch.tensor([1.0, -4.0], dtype=torch.float64)}
    found = yardstick({"out": torch.tensor([1.25, -4.0], dtype=torch.float16)}, true, torch.float16)
    assert found.own == {"out": 0.25}
    assert found.rounding == {"out": 4 * 2.0**-11}
    assert found.largest == {"out": 4.0}


def test_shapes_must_agree() -> None:
    """Broadcasting would hide a result that is too small."""
    with pytest.raises(ValueError, match=r"out: expected shape \(3, 2\), got \(2,\)"):
        largest_errors({"out": torch.zeros(2)}, {"out": torch.zeros(3, 2)})


def test_nan_shows() -> None:
    found = largest_errors({"out": torch.tensor([0.0, math.nan])}, {"out": torch.zeros(2).double()})
    assert math.isnan(found["out"])
