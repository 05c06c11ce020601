"""Saved tensors and gradients of the fused operations, the same for both backends."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def save_input(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep x, and the activation's name if there is one."""
    ctx.save_for_backward(inputs[0])
    ctx.options = inputs[1:]


def differentiate(backward: Any, ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient of x; None for each option."""
    return backward(grad, *ctx.saved_tensors, *ctx.options), *[None] * len(ctx.options)
