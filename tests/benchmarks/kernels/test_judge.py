"""How the bench judges errors: the fp64 rule, rounding to the inputs' dtype included.

Covers xformer.benchmarks.kernels.outcome.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from xformer.benchmarks.kernels.judge import Judge, worst_multiple
from xformer.benchmarks.kernels.operation import Inputs
from xformer.kernels.testing import ROUNDING, Error

HALF = 1e-4


def test_the_worst_result_counts() -> None:
    errors = {"out": Error(1e-3, 1e-3, 1.0), "dq": Error(3e-2, 1e-2, 0.0)}
    multiple, worst = worst_multiple(errors, ["out", "dq"], HALF)
    assert multiple == pytest.approx(3.0)
    assert worst == "dq"
    assert worst_multiple(errors, ["out"], HALF) == (1.0, "out")
    errors["out"] = Error(math.nan, 1e-3, 1.0)
    assert worst_multiple(errors, ["out", "dq"], HALF) == (math.inf, "out")


def test_multiples_are_of_no_less_than_half_a_unit() -> None:
    assert worst_multiple({"out": Error(3e-4, 1e-9, 1.0)}, ["out"], HALF)[0] == pytest.approx(3.0)
    assert worst_multiple({"out": Error(0.0, 0.0, 0.0)}, ["out"], HALF) == (0.0, "out")
    assert worst_multiple({"out": Error(1e-9, 0.0, 0.0)}, ["out"], HALF) == (math.inf, "out")


@dataclass(frozen=True)
class Fixed:
    """An operation whose exact and plain results are given."""

    exact: torch.Tensor
    plain_result: torch.Tensor

    def truth(self, case: Any, inputs: Inputs) -> dict[str, torch.Tensor]:
        return {"out": self.exact}

    def plain(self, case: Any, inputs: Inputs) -> dict[str, torch.Tensor]:
        return {"out": self.plain_result}


def test_twice_the_error_of_pytorch_and_twice_the_rounding_pass() -> None:
    half = 2.0**-11  # of float16
    exact = torch.tensor([4.0], dtype=torch.float64)
    operation: Any = Fixed(exact, exact.half() + 0.25)
    case: Any = SimpleNamespace()
    judge = Judge(operation, case, Inputs({"x": torch.zeros(1, dtype=torch.float16)}, {}, {}))
    (error,) = judge.errors({"out": exact + 0.5}).values()
    assert error.found == 0.5
    assert error.eager == 0.25
    assert error.allowed == pytest.approx(2 * (0.25 + 4 * half) + 4 * ROUNDING, rel=1e-12)
    assert judge.errors({"out": exact + 0.503})["out"].passes
    assert not judge.errors({"out": exact + 0.505})["out"].passes
