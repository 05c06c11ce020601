"""Integrated gradients of any differentiable function, with the number of steps that its own check asks for.

Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks", equation 1. For a function F, an
input x and a baseline x′

    a_j = (x_j − x′_j) ∫₀¹ ∂F(x′ + α (x − x′)) / ∂x_j dα

Completeness (their proposition 1): `Σ_j a_j = F(x) − F(x′)`. The integral is a Gauss–Legendre sum of m
points, so completeness holds up to the error of the sum, and that error is measured.

Shapes: m points of the path, n tokens, C width of a token's vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Slopes = Callable[[Tensor], tuple[Tensor, Tensor]]
"""A function with its gradient: inputs (m, n, C) to values (m,) and gradients (m, n, C)."""

_FIRST_STEPS = 8

_ROUNDING = 1e-6
"""Of values in float32: what is this close is equal, so that an input that is its own baseline converges."""


@dataclass(frozen=True)
class Integrated:
    """Attributions of one input, and how far they can be trusted.

    Attributes:
        scores: (n,) float64, the sum of `a_j` over the C coordinates of each token.
        gradient: (n,) float64, input × gradient: the sum over C of `x_j ∂F(x)/∂x_j`.
        value: F(x).
        baseline_value: F(x′).
        steps: m, points of the path.
        error: `|Σ a_j − (F(x) − F(x′))|`.
        bound: what the error had to be below, in the unit of F.
        change: the largest change of a token's score from m/2 to m points.
        converged: whether error and change are both within the bound.
    """

    scores: Tensor
    gradient: Tensor
    value: float
    baseline_value: float
    steps: int
    error: float
    bound: float
    change: float
    converged: bool


def integrate(
    function: Slopes,
    x: Tensor,
    baseline: Tensor,
    *,
    tolerance: float = 0.01,
    max_steps: int = 256,
    at_once: int = 64,
) -> Integrated:
    """Integrated gradients of `function` at `x`.

    The number of points doubles from 8 until two things are within `tolerance · Σ|a_j|`: the error of
    completeness, and the change of each score since the last number of points. Completeness alone is not
    enough: errors of tokens may cancel in the sum.

    Args:
        function: F with its gradient.
        x: (n, C).
        baseline: (n, C), the input that says nothing.
        tolerance: share of the sum of the sizes of all scores; at least the rounding of F.
        max_steps: most points, from 16; with these the result is given as it is, `converged` or not.
        at_once: most points that `function` is given together.

    Raises:
        ValueError: the shapes differ, or an option is out of range.
    """
    if x.shape != baseline.shape or x.dim() != 2:
        raise ValueError(f"baseline: expected (n, C) as x, got {tuple(baseline.shape)} and {tuple(x.shape)}")
    if not tolerance > 0 or max_steps < 2 * _FIRST_STEPS or at_once < 1:
        raise ValueError(
            f"expected tolerance above 0, max_steps from {2 * _FIRST_STEPS}, at_once from 1; got "
            f"{tolerance}, {max_steps}, {at_once}"
        )
    ends, slopes = function(torch.stack((x, baseline)))
    value, baseline_value = (float(end) for end in ends)
    gradient = (x.double() * slopes[0].double()).sum(-1)
    steps = _FIRST_STEPS
    scores = _path_sum(function, x, baseline, steps, at_once)
    while True:
        steps *= 2
        before, scores = scores, _path_sum(function, x, baseline, steps, at_once)
        error = abs(float(scores.sum()) - (value - baseline_value))
        change = float((scores - before).abs().max()) if len(scores) else 0.0
        rounding = _ROUNDING * max(abs(value), abs(baseline_value))
        bound = max(tolerance * float(scores.abs().sum()), rounding)
        converged = error <= bound and change <= bound
        if converged or 2 * steps > max_steps:
            return Integrated(scores, gradient, value, baseline_value, steps, error, bound, change, converged)


def _path_sum(function: Slopes, x: Tensor, baseline: Tensor, steps: int, at_once: int) -> Tensor:
    """(n,) attributions from `steps` points of Gauss–Legendre on [0, 1], summed in float64."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
    way = x - baseline
    for start in range(0, steps, at_once):
        some = slice(start, start + at_once)
        share = torch.from_numpy((nodes[some] + 1) / 2).to(x)
        weight = torch.from_numpy(weights[some] / 2).to(total)
        _, slopes = function(baseline + share[:, None, None] * way)
        total += torch.einsum("m,mnc->nc", weight, slopes.double())
    return (total * way.double()).sum(-1)
