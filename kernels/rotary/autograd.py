"""Saved tensors and gradients of rotary embedding, the same for both backends."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    """Keep positions and tables; q and k are not needed."""
    q, k, *tables, ctx.interleaved = inputs
    ctx.save_for_backward(*tables)
    ctx.like = (q.shape, k.shape)


def differentiate(
    backward: Any, ctx: Any, grad_q: Tensor | None, grad_k: Tensor | None
) -> tuple[Tensor | None, ...]:
    """Gradients of q and k: those of the outputs, rotated back; a missing one counts as zeros."""
    if grad_q is None or grad_k is None:
        given = grad_k if grad_q is None else grad_q
        if given is None:
            return (None,) * 6
        grad_q = given.new_zeros(ctx.like[0]) if grad_q is None else grad_q
        grad_k = given.new_zeros(ctx.like[1]) if grad_k is None else grad_k
    return *backward(grad_q, grad_k, *ctx.saved_tensors, ctx.interleaved), None, None, None, None


def fake(q: Tensor, k: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    """Tensors of the shapes of both outputs, or of both gradients."""
    return q.new_empty(q.shape), k.new_empty(k.shape)
