"""The fp64 rule by which kernels and contenders are judged."""

from __future__ import annotations

import math

import pytest
import torch

from xformer.kernels.testing import ROUNDING, Error, compare, distances, errors, largest

FP64 = torch.float64


@pytest.mark.parametrize(
    ("found", "passes"),
    [(1.9e-3, True), (2.01e-3, True), (2.03e-3, False), (math.nan, False), (math.inf, False)],
)
def test_at_most_twice_the_error_of_pytorch(found: float, passes: bool) -> None:
    """And the rounding that is allowed, here 2e-5, but no more."""
    assert Error(found, eager=1e-3, largest=2.0, rounding=1e-5).passes is passes


def test_where_pytorch_is_exact_a_little_rounding_is_allowed() -> None:
    assert Error(0.9 * 10 * ROUNDING, 0.0, 10.0).passes
    assert not Error(1.1 * 10 * ROUNDING, 0.0, 10.0).passes
    assert not Error(1e-30, 0.0, 0.0).passes


def test_errors_of_real_tensors() -> None:
    exact = {"out": torch.tensor([1.0, -4.0], dtype=FP64), "lse": torch.tensor([2.0], dtype=FP64)}
    eager = {"out": torch.tensor([1.25, -4.0], dtype=torch.float16), "lse": torch.tensor([2.0])}
    found = {"out": torch.tensor([1.0, -4.5], dtype=torch.float16), "lse": torch.tensor([2.5])}
    result = errors(found, eager, exact, {"lse": 0.25})
    assert result == {"out": Error(0.5, 0.25, 4.0, ROUNDING), "lse": Error(0.5, 0.0, 2.0, 0.25)}
    assert result["out"].allowed == 0.5 + 4 * ROUNDING
    assert result["lse"].passes


def test_shapes_must_agree() -> None:
    """Broadcasting would hide a result that is too small."""
    with pytest.raises(ValueError, match=r"out: expected shape \(3, 2\), got \(2,\)"):
        distances({"out": torch.zeros(2)}, {"out": torch.zeros(3, 2)})


def test_nan_shows_and_infinities_must_agree() -> None:
    def distance(found: float, exact: float) -> float:
        return distances({"x": torch.tensor([0.0, found])}, {"x": torch.tensor([0.0, exact]).double()})["x"]

    assert math.isnan(distance(math.nan, 0.0))
    assert math.isnan(distance(0.0, math.nan))
    assert distance(-math.inf, -math.inf) == 0.0
    assert distance(-math.inf, 3.0) == math.inf
    assert distance(math.inf, -math.inf) == math.inf
    assert largest(torch.tensor([-math.inf, -3.0, 2.0])) == 3.0
    assert largest(torch.empty(0)) == 0.0


def test_an_operation_is_compared_with_its_reference() -> None:
    def double(x: torch.Tensor, factor: torch.Tensor, backend: str) -> torch.Tensor:
        off = 0.01 if backend == "torch" else 0.0
        return x * factor + off * x.detach() ** 2

    leaves = {"x": torch.tensor([1.0, -3.0])}
    found = compare(double, leaves, {"factor": torch.tensor(2.0)}, (torch.ones(2),), "torch")
    assert found["out0"].found == pytest.approx(0.09, rel=1e-5)
    assert not found["out0"].passes
    assert found["grad_x"] == Error(0.0, 0.0, 2.0)
    assert found["grad_x"].passes
