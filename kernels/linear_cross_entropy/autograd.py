"""Gradients and shapes that both fused backends of the loss share.

Shapes: K rows, C width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def differentiate(backward: Any, ctx: Any, grad_items: Tensor | None) -> tuple[Tensor | None, ...]:
    """Gradients of rows, weight and bias from that of the losses (K,); None for every other input."""
    needs = list(ctx.needs_input_grad[:3])
    others = [None] * (len(ctx.options) + 1)
    if grad_items is None or not any(needs):
        return None, None, None, *others
    grads = backward(grad_items, *ctx.saved_tensors, *ctx.options, needs)
    return *(grad if needed else None for grad, needed in zip(grads, needs, strict=True)), *others


def fake_grads(rows: Tensor, weight: Tensor, needs: Sequence[bool]) -> tuple[Tensor, Tensor, Tensor]:
    """Tensors of the gradients' shapes, without elements where no gradient is needed."""
    return (
        rows.new_empty(rows.shape if needs[0] else 0),
        weight.new_empty(weight.shape if needs[1] else 0),
        weight.new_empty(weight.shape[0] if needs[2] else 0),
    )
