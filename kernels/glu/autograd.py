"""What the fused operations of both backends keep for the backward pass, and the gradients they return."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def save_input(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep x, and the activation's name if there is one."""
    ctx.save_for_backward(inputs[0])
    ctx.options = inputs[1:]


def differentiate(backward: Any, ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient of x, and none of an option."""
    return backward(grad, *ctx.saved_tensors, *ctx.options), *[None] * len(ctx.options)
