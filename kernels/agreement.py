"""Does a backend agree with fp64, as well as plain PyTorch does? For any operation with a `backend` argument.

The rule of `accuracy`: the largest error against fp64 is at most twice that of the `reference` backend in the
same dtype on the same inputs, for every output and every gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .accuracy import Error
from .backend import Backend


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
        arguments: everything else that it takes.
        grads: one gradient for each output.
        backend: which one.

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
    """The error of each output and gradient beside plain PyTorch's; arguments as in `solve`."""
    found = solve(function, leaves, arguments, grads, backend)
    eager = solve(function, leaves, arguments, grads, "reference")
    wide = {name: _wide(x) for name, x in arguments.items()}
    exact = solve(
        function,
        {name: leaf.double() for name, leaf in leaves.items()},
        wide,
        tuple(g.double() for g in grads),
        "reference",
    )
    return {
        name: Error(
            _distance(found[name], exact[name]), _distance(eager[name], exact[name]), _largest(exact[name])
        )
        for name in exact
    }


def _wide(x: Any) -> Any:
    return x.double() if isinstance(x, Tensor) and x.is_floating_point() else x


def _distance(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).abs().max()) if exact.numel() else 0.0


def _largest(exact: Tensor) -> float:
    return float(exact.abs().max()) if exact.numel() else 0.0
