"""How attention becomes PyTorch operators, whose arguments are flat where a Python function takes options.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import CustomOpDef

from ..operation import Operation
from .options import AttentionOptions

_OPTIONS = tuple(
    parameter.replace(default=inspect.Parameter.empty)
    for parameter in inspect.signature(AttentionOptions, eval_str=True).parameters.values()
)
# Where these are among an operator's arguments, which begin q, k, v, cu_seqlens_q, cu_seqlens_k, options.
_SINK, _TABLE = (5 + [option.name for option in _OPTIONS].index(name) for name in ("sink", "bias_table"))


def with_flat_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with the fields of its argument `options` in place of that argument.

    PyTorch infers an operator's schema from a signature, and knows no dataclasses.
    """
    signature = inspect.signature(function, eval_str=True)
    before = list(signature.parameters.values())
    at = list(signature.parameters).index("options")
    end = at + len(_OPTIONS)

    def flat(*arguments: Any) -> Any:
        return function(*arguments[:at], AttentionOptions(*arguments[at:end]), *arguments[end:])

    parameters = [*before[:at], *_OPTIONS, *before[at + 1 :]]
    flat.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return flat


def attention_operation(name: str, forward: Callable[..., Any], backward: Callable[..., Any]) -> Operation:
    """Register attention of one backend as `xformer::{name}`.

    Args:
        name: of the operator.
        forward: takes q (T, H, D), k and v (S, G, D), cu_seqlens_q and cu_seqlens_k (B+1,), options, and what
            else the backend wants, all checked; returns out (T, H, D) and lse (T, H).
        backward: takes their gradients (None for zeros in that of lse), out, lse, the arguments of `forward`
            and whether the bias table wants a gradient; returns gradients of q, k, v, the sink and the table,
            contiguous. The last two have no elements where there is no sink, and where none is wanted.
    """
    return Operation(
        name,
        with_flat_options(forward),
        with_flat_options(backward),
        fake=_fake,
        fake_backward=_fake_backward,
        save=_save,
        differentiate=_differentiate,
        visible=2,
    )


def weights_operator(name: str, function: Callable[..., Any], fake: Callable[..., Any]) -> CustomOpDef:
    """Register a function of attention weights, which has no gradient, as the operator `xformer::{name}`.

    Args:
        name: of the operator.
        function: takes tensors and options, fully annotated.
        fake: empty tensors as `function` would return, from the operator's arguments.
    """
    operator = torch.library.custom_op(f"xformer::{name}", with_flat_options(function), mutates_args=())
    operator.register_fake(fake)
    return operator


def _fake(q: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape), q.new_empty(q.shape[:2], dtype=torch.promote_types(q.dtype, torch.float32))


def _fake_backward(*arguments: Any) -> tuple[Tensor, ...]:
    q, k, v, *rest = arguments[4:]  # after grad_out, grad_lse, out and lse
    sink, table = rest[_SINK - 3], rest[_TABLE - 3] if rest[-1] else None
    parameters = (q.new_empty(0) if x is None else x.new_empty(x.shape) for x in (sink, table))
    return (*(x.new_empty(x.shape) for x in (q, k, v)), *parameters)


def _save(ctx: Any, inputs: tuple[Any, ...], outputs: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*outputs, *(x if isinstance(x, Tensor) else None for x in inputs))
    ctx.others = [None if isinstance(x, Tensor) else x for x in inputs]


def _differentiate(
    backward: Callable[..., Any], ctx: Any, grad_out: Tensor | None, grad_lse: Tensor | None
) -> tuple[Tensor | None, ...]:
    out, lse, *tensors = ctx.saved_tensors
    inputs = [other if x is None else x for x, other in zip(tensors, ctx.others, strict=True)]
    needs_table = ctx.needs_input_grad[_TABLE]
    if grad_out is None:
        grad_out = torch.zeros_like(out)
    *grads, grad_sink, grad_table = backward(grad_out, grad_lse, out, lse, *inputs, needs_table)
    found: list[Tensor | None] = [*grads, *[None] * (len(inputs) - 3)]
    if ctx.needs_input_grad[_SINK]:
        found[_SINK] = grad_sink
    if needs_table:
        found[_TABLE] = grad_table
    return tuple(found)
