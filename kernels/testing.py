"""The fp64 rule, by which every kernel and every contender of the bench is judged.

An implementation passes when its largest error against fp64 is at most twice that of plain PyTorch in the
same dtype on the same inputs, for every output and every gradient (the rule of FlashAttention's tests). A few
units of fp32 rounding are allowed beside that: where PyTorch happens to be exact, twice its error is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .backend import Backend

RATIO = 2.0
EPS = torch.finfo(torch.float32).eps
ROUNDING = 8 * EPS


@dataclass(frozen=True)
class Error:
    """Largest absolute error of one output or gradient, beside that of plain PyTorch.

    Attributes:
        found: error of the implementation that is judged.
        eager: error of plain PyTorch in the same dtype.
        largest: largest absolute exact value.
        rounding: share of `largest` that is allowed beside twice `eager`.
    """

    found: float
    eager: float
    largest: float
    rounding: float = ROUNDING

    @property
    def allowed(self) -> float:
        """Largest error that passes."""
        return RATIO * self.eager + self.rounding * self.largest

    @property
    def passes(self) -> bool:
        """Whether the implementation keeps the rule; NaN does not."""
        return self.found <= self.allowed


def errors(
    found: Mapping[str, Tensor],
    eager: Mapping[str, Tensor],
    exact: Mapping[str, Tensor],
    rounding: Mapping[str, float] | None = None,
) -> dict[str, Error]:
    """The error of each result in `found`.

    Args:
        found: results of the implementation that is judged, by name.
        eager: results of plain PyTorch in the same dtype.
        exact: results in fp64.
        rounding: share of the largest exact value that is allowed, by name; `ROUNDING` for names left out.

    Raises:
        ValueError: a result has another shape than the exact one.
    """
    ours, plain = distances(found, exact), distances(eager, exact)
    allowed = rounding or {}
    return {
        name: Error(ours[name], plain[name], largest(exact[name]), allowed.get(name, ROUNDING))
        for name in found
    }


def distances(found: Mapping[str, Tensor], exact: Mapping[str, Tensor]) -> dict[str, float]:
    """Largest absolute difference of each result in `found`; NaN where one is not a number.

    Infinite values must be equal.

    Raises:
        ValueError: a result has another shape than the exact one.
    """
    result = {}
    for name, value in found.items():
        if value.shape != exact[name].shape:
            raise ValueError(f"{name}: expected shape {tuple(exact[name].shape)}, got {tuple(value.shape)}")
        wide = value.to(exact[name].dtype)
        difference = (wide - exact[name]).abs_().masked_fill_(wide == exact[name], 0.0)
        result[name] = float(difference.max()) if difference.numel() else 0.0
    return result


def largest(exact: Tensor) -> float:
    """Largest absolute finite value; 0 if there is none."""
    finite = exact[exact.isfinite()].abs()
    return float(finite.max()) if finite.numel() else 0.0


def solve(
    function: Callable[..., Any],
    leaves: Mapping[str, Tensor],
    arguments: Mapping[str, Any],
    grads: tuple[Tensor, ...],
    backend: Backend,
) -> dict[str, Tensor]:
    """Outputs of `function(**leaves, **arguments, backend=backend)` and the gradient of each leaf.

    Args:
        function: a public operation.
        leaves: tensors to differentiate by, as arguments by name.
        arguments: all other arguments.
        grads: one gradient for each output.
        backend: the backend to use.

    Returns:
        `out0`, `out1`, … and `grad_` of each leaf.
    """
    fresh = {name: leaf.detach().requires_grad_() for name, leaf in leaves.items()}
    outputs = function(**fresh, **arguments, backend=backend)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    found = torch.autograd.grad(outputs, list(fresh.values()), grads)
    return {f"out{i}": out.detach() for i, out in enumerate(outputs)} | {
        f"grad_{name}": grad for name, grad in zip(fresh, found, strict=True)
    }


def compare(
    function: Callable[..., Any],
    leaves: Mapping[str, Tensor],
    arguments: Mapping[str, Any],
    grads: tuple[Tensor, ...],
    backend: Backend,
) -> dict[str, Error]:
    """The error of each output and gradient of an operation's backend; arguments as in `solve`."""
    wide_leaves, wide_arguments = (
        {name: _wide(x) for name, x in each.items()} for each in (leaves, arguments)
    )
    return errors(
        solve(function, leaves, arguments, grads, backend),
        solve(function, leaves, arguments, grads, "reference"),
        solve(function, wide_leaves, wide_arguments, tuple(map(_wide, grads)), "reference"),
    )


def _wide(x: Any) -> Any:
    return x.double() if isinstance(x, Tensor) and x.is_floating_point() else x
