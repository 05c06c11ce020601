"""Integrated gradients against integrals worked by hand, and its own checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from xformer.inspect.analysis.integrate import Slopes, integrate


def slopes(function: Callable[[Tensor], Tensor]) -> Slopes:
    """A function of (m, n, C) to (m,), with autograd's gradient."""

    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.clone().requires_grad_()
        values = function(x)
        return values.detach(), torch.autograd.grad(values.sum(), x)[0]

    return both


def test_a_product_is_shared_and_a_square_kept() -> None:
    # F = x₁x₂ + x₃²: along the path from 0, ∂₁F = αx₂ and ∂₃F = 2αx₃, so a = (x₁x₂/2, x₁x₂/2, x₃²).
    x = torch.tensor([[2.0], [3.0], [-1.5]], dtype=torch.float64)
    found = integrate(slopes(lambda x: x[:, 0, 0] * x[:, 1, 0] + x[:, 2, 0] ** 2), x, torch.zeros_like(x))
    torch.testing.assert_close(found.scores, torch.tensor([3, 3, 2.25], dtype=torch.float64))
    # Input × gradient counts both shares whole: x₁x₂, x₂x₁, 2x₃².
    torch.testing.assert_close(found.gradient, torch.tensor([6, 6, 4.5], dtype=torch.float64))
    assert (found.value, found.baseline_value) == (8.25, 0)
    assert found.converged
    assert found.steps == 16
    assert found.error < 1e-12


def test_from_another_baseline() -> None:
    # F = x³ from 1 to 3: (3 − 1) ∫ 3 (1 + 2α)² dα = 27 − 1.
    x = torch.tensor([[3.0]], dtype=torch.float64)
    found = integrate(slopes(lambda x: x[:, 0, 0] ** 3), x, torch.ones_like(x))
    assert float(found.scores[0]) == pytest.approx(26, abs=1e-12)


def test_a_saturated_function_has_no_gradient_but_a_score() -> None:
    """The example of the paper's section 2: F = 1 − relu(1 − x) is flat at x = 2, where it has risen by 1."""
    x = torch.tensor([[2.0]], dtype=torch.float64)
    f = slopes(lambda x: 1 - torch.relu(1 - x[:, 0, 0]))
    found = integrate(f, x, torch.zeros_like(x), tolerance=0.05, max_steps=512)
    assert float(found.gradient[0]) == 0
    assert float(found.scores[0]) == pytest.approx(1, abs=0.05)
    assert found.converged


def test_steps_double_until_the_bound_holds_or_the_limit_is_reached() -> None:
    x = torch.tensor([[2.0], [1.0]], dtype=torch.float64)
    wavy = slopes(lambda x: torch.sin(40 * x[:, 0, 0]) + x[:, 0, 0] * x[:, 1, 0])
    found = integrate(wavy, x, torch.zeros_like(x))
    assert found.converged
    assert found.steps > 16
    assert found.error <= found.bound == pytest.approx(0.01 * float(found.scores.abs().sum()))
    assert found.change <= found.bound
    stopped = integrate(wavy, x, torch.zeros_like(x), max_steps=31)
    assert stopped.steps == 16
    assert not stopped.converged
    assert stopped.error > stopped.bound


def test_errors_that_cancel_in_the_sum_are_seen() -> None:
    """Completeness holds at any number of steps for F = g(x₁) − g(x₂) with x₁ = x₂, right or not."""
    x = torch.tensor([[2.0], [2.0]], dtype=torch.float64)
    f = slopes(lambda x: torch.sin(40 * x[:, 0, 0]) - torch.sin(40 * x[:, 1, 0]))
    found = integrate(f, x, torch.zeros_like(x))
    expected = torch.tensor([1.0, -1.0], dtype=torch.float64) * torch.sin(torch.tensor(80.0).double())
    assert found.converged
    torch.testing.assert_close(found.scores, expected, rtol=0.01, atol=0)


def test_an_input_that_is_its_own_baseline_converges() -> None:
    """Also where rounding gives F another value each time."""
    values = iter([1.0, 1.0 + 5e-7])

    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        given = torch.tensor([next(values), next(values)]) if len(x) == 2 else torch.ones(len(x))
        return given, torch.ones_like(x)

    found = integrate(f, torch.ones(1, 1), torch.ones(1, 1))
    assert found.converged
    assert found.steps == 16
    assert found.scores.tolist() == [0]


def test_points_come_in_parts() -> None:
    sizes = []
    f = slopes(lambda x: x.sum((1, 2)) ** 3)

    def counted(x: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(len(x))
        return f(x)

    x = torch.linspace(0, 1, 6, dtype=torch.float64).view(3, 2)
    parts = integrate(counted, x, torch.zeros_like(x), at_once=5)
    whole = integrate(f, x, torch.zeros_like(x))
    torch.testing.assert_close(parts.scores, whole.scores)
    assert max(sizes) <= 5


@pytest.mark.parametrize(
    "options", [{"tolerance": 0}, {"max_steps": 15}, {"at_once": 0}, {"baseline": torch.zeros(2, 2)}]
)
def test_wrong_questions(options: dict[str, object]) -> None:
    arguments: dict[str, object] = {"baseline": torch.zeros(3, 2)} | options
    with pytest.raises(ValueError, match="expected"):
        integrate(slopes(lambda x: x.sum((1, 2))), torch.ones(3, 2), **arguments)  # type: ignore[arg-type]
