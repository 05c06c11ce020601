"""Differentiable operations for PyTorch: a custom operator for compilers, an autograd function in eager mode.

`torch.compile`, `torch.export` and fake tensors need a custom operator: opaque, with a shape function and a
gradient. But its dispatch takes tens of microseconds, longer than a small kernel runs. An `Operation` is
both: the operator where something traces, and elsewhere an autograd function that launches the same kernels
directly, at less than half of the cost.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.compiler import is_dynamo_compiling
from torch.library import custom_op, infer_schema

from .backend import Backend
from .device import target_of, triton_absence

# a*b + c in one rounding: Triton 3.10 stops doing so unasked.
FUSED = {"enable_fp_fusion": True}

# From so many elements on, a backward pass of our own saves more time on a CPU than its two calls into Python
# cost, some 40 us.
WORTH_A_CALL = 1 << 18

_NOTHING = nullcontext()
_PLAIN = (Tensor, torch.nn.Parameter)


class Operation:
    """Forward and backward pass of one operation on one backend.

    Attributes:
        op: the custom operator of the forward pass.
        backward_op: the custom operator of the backward pass.
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        *,
        fake: Callable[..., Any],
        fake_backward: Callable[..., Any] | None = None,
        save: Callable[[Any, tuple[Any, ...], Any], None] | None = None,
        differentiate: Callable[..., tuple[Tensor | None, ...]] | None = None,
        visible: int = 1,
    ) -> None:
        """Register `xformer::{name}` and `xformer::{name}_backward`.

        Args:
            name: name of the operator.
            forward: function of tensors, then options, that returns a tensor or a tuple of tensors, fully
                annotated.
            backward: the same for the backward pass.
            fake: returns empty tensors of the shapes and dtypes that `forward` returns for the same
                arguments; `forward` itself, where PyTorch alone computes it.
            fake_backward: the same for `backward`; left out, its results have the shapes and dtypes of the
                first tensors of `forward`.
            save: `(ctx, inputs, output)`; stores in the context what the backward pass needs. Left out, all
                tensors and the invisible outputs in `ctx.saved_tensors`, the options in `ctx.options`.
            differentiate: `(backward, ctx, *gradients of the visible outputs)`; calls `backward` and returns
                one gradient for each input of `forward`. Left out, the arguments of `backward` are the
                gradients, the saved tensors and the options, and it returns the gradients of the first
                inputs; the others have none.
            visible: number of outputs that callers get; the others are for the backward pass.
        """
        self._forward = forward
        self._visible = visible
        schema, backward_schema = (infer_schema(each, mutates_args=()) for each in (forward, backward))
        self.op = custom_op(f"xformer::{name}", forward, mutates_args=(), schema=schema)
        self.op.register_fake(fake)
        inputs_schema, outputs_schema = schema.split("->")
        n_tensors, n_outputs = inputs_schema.count("Tensor"), outputs_schema.count("Tensor")
        n_grads = backward_schema.split("->")[1].count("Tensor")
        no_grads = (None,) * (inputs_schema.count(",") + 1 - n_grads)

        def empty_like_inputs(*arguments: Any) -> Tensor | tuple[Tensor, ...]:
            found = tuple(x.new_empty(x.shape) for x in arguments[visible : visible + n_grads])
            return found[0] if n_grads == 1 else found

        self.backward_op = backward_op = custom_op(
            f"xformer::{name}_backward", backward, mutates_args=(), schema=backward_schema
        )
        backward_op.register_fake(fake_backward or empty_like_inputs)

        def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.set_materialize_grads(False)
            if save is not None:
                save(ctx, inputs, output)
                return
            ctx.save_for_backward(*inputs[:n_tensors], *(output[visible:] if n_outputs > 1 else ()))
            ctx.options = inputs[n_tensors:]

        def differentiate_first(backward: Any, ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            found = backward(*grads, *ctx.saved_tensors, *ctx.options)
            return (found, *no_grads) if n_grads == 1 else (*found, *no_grads)

        gradients = differentiate or differentiate_first

        def through_op(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            return gradients(backward_op, ctx, *grads[:visible])

        def no_second(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
            raise NotImplementedError(f"xformer::{name} has no second derivative; backend 'reference' has")

        self.op.register_autograd(through_op, setup_context=setup)
        self.backward_op.register_autograd(no_second)

        class Direct(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *inputs: Any) -> Any:
                outputs = forward(*inputs)
                setup(ctx, inputs, outputs)
                return outputs if n_outputs == 1 else outputs[0] if visible == 1 else outputs[:visible]

            @staticmethod
            def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
                # With create_graph, the operator is what says that there is no second derivative.
                return gradients(backward_op if torch.is_grad_enabled() else backward, ctx, *grads)

        self._direct = Direct

    def __call__(self, *inputs: Any) -> Any:
        """The visible outputs: a tensor, or a tuple if there are several."""
        if not is_eager(inputs[0]):
            return self._shown(self.op(*inputs))
        if torch.is_grad_enabled():
            return self._direct.apply(*inputs)
        return self._shown(self._forward(*inputs))

    def _shown(self, outputs: Any) -> Any:
        if isinstance(outputs, Tensor):
            return outputs
        return outputs[0] if self._visible == 1 else tuple(outputs[: self._visible])


def plain_is_best(backend: Backend | None, x: Tensor) -> bool:
    """Whether the backend is `torch` and PyTorch's own autograd is faster than an `Operation`.

    It is in eager mode on a CPU where no gradient is wanted, or where x is small. This check must cost less
    than it saves, so that it avoids `x.device.type`, which makes a string on each call.

    Args:
        backend: the argument of the operation.
        x: the operation's input.
    """
    return (
        (backend is None or backend == "torch")
        and is_eager(x)
        and x.is_cpu
        and not is_transformed(x)
        and (x.numel() < WORTH_A_CALL or not (x.requires_grad and torch.is_grad_enabled()))
    )


def choose(
    backend: Backend | None,
    x: Tensor,
    lack: str | None,
    *others: Tensor | None,
    plain_torch: bool = False,
) -> Backend:
    """The backend of a call: the one asked for; left out, `triton` on a GPU if it can, otherwise `torch`.

    Where a transform of `torch.func` or forward-mode differentiation is at work, a backward pass of our own
    does not serve: left out, the backend is then one that PyTorch itself differentiates.

    Args:
        backend: the argument of the operation.
        x: the operation's input, whose device counts.
        lack: what the Triton kernels cannot do here; None if they can do all.
        others: the operation's other tensors that are differentiated, as far as there are any.
        plain_torch: whether the `torch` backend is PyTorch's own operators alone, which all transforms know.

    Raises:
        ValueError: no such backend.
        NotImplementedError: the backend asked for cannot do this.
    """
    if backend != "reference" and is_transformed(x, *others):
        able: Backend = "torch" if plain_torch else "reference"
        if backend not in (None, able):
            raise NotImplementedError(
                f"backend {backend!r}: no transform of torch.func (grad, vmap, jvp, …) and no forward-mode "
                f"derivative; use backend={able!r}, which has both"
            )
        return able
    if backend is None:
        return "triton" if x.is_cuda and lack is None and triton_absence("cuda") is None else "torch"
    if backend == "triton":
        lack = lack or triton_absence(x.device.type)
        if lack is not None:
            raise NotImplementedError(f"backend 'triton': {lack}; use 'torch' or 'reference'")
    elif backend not in ("torch", "reference"):
        raise ValueError(f"backend: expected 'triton', 'torch', 'reference' or None, got {backend!r}")
    return backend


def on(device: torch.device) -> AbstractContextManager[Any]:
    """Make a GPU the current one for a launch; does nothing if it is, because a guard takes time."""
    if device.type != "cuda" or device.index == torch.cuda.current_device():
        return _NOTHING
    return torch.cuda.device(device)


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Turn autocast off, so that products have the dtype of their operands."""
    kind = x.device.type
    # Turning it off takes up to 200 us, even where it is off already.
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


@cache
def processors(device: torch.device) -> int:
    """Number of multiprocessors of a device."""
    # In the interpreter two, so that a persistent kernel makes several rounds in a small test.
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 2


def rows_of(x: Tensor) -> Tensor:
    """The same matrix with the elements of a row next to each other in memory; a copy only if need be."""
    return x if x.stride(1) == 1 else x.contiguous()


@cache
def on_device(plan: Callable[..., Any], device: torch.device, *sizes: int) -> Any:
    """`plan(target, *sizes)` for the target that a device is, kept."""
    return plan(target_of(device), *sizes)


def ceil_div(n: int, size: int) -> int:
    """The number of blocks of `size` that hold n elements; `triton.cdiv` takes a hundred times as long."""
    return -(-n // size)


def power_of_two(n: int) -> int:
    """The least power of two from n on."""
    return 1 << (n - 1).bit_length() if n > 1 else 1


def cover(size: int, largest: int) -> int:
    """The largest block, a power of two up to `largest`, that pads `size` elements by at most an eighth.

    At least 64. Where one block is enough for everything, that block.
    """
    if size <= largest // 2:
        largest = max(64, power_of_two(size))
    block = largest
    while block > 64 and -size % block * 8 > size:
        block //= 2
    return block


def is_transformed(*tensors: Tensor | None) -> bool:
    """Whether a transform of `torch.func` is at work, or one of the tensors carries a forward-mode tangent.

    Never under `torch.compile`, which traces both and does not say so.
    """
    if is_dynamo_compiling():
        return False
    if torch._C._are_functorch_transforms_active():
        return True
    return forward_ad._current_level >= 0 and any(
        x is not None and forward_ad.unpack_dual(x).tangent is not None for x in tensors
    )


def is_eager(x: Tensor) -> bool:
    """Whether nothing traces operators: no compiler, no dispatch mode (fake tensors, `make_fx`)."""
    # Compilers other than Dynamo trace with a mode, or with tensors of another type.
    return not is_dynamo_compiling() and type(x) in _PLAIN and not torch._C._len_torch_dispatch_stack()
