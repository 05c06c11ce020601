"""Helpers of the GPU tests of operations: inputs on the device, the fp64 rule, and repeatability."""

from __future__ import annotations

from typing import Any

import torch

from xformer.kernels.testing import compare, solve


def normal(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    """Normal random numbers on the GPU."""
    return torch.randn(shape, device="cuda").to(dtype)


def assert_passes(function: Any, leaves: Any, arguments: Any, grads: Any) -> None:
    """Assert that outputs and gradients of the Triton kernels keep the fp64 rule."""
    for name, error in compare(function, leaves, arguments, grads, "triton").items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


def assert_repeats(function: Any, leaves: Any, arguments: Any, grads: Any) -> None:
    """Assert that outputs and gradients of the Triton kernels have the same bits in every run."""
    first = solve(function, leaves, arguments, grads, "triton")
    for _ in range(5):
        again = solve(function, leaves, arguments, grads, "triton")
        assert all(torch.equal(first[name], again[name]) for name in first)
