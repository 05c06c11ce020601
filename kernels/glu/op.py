"""Gated linear units (Dauphin et al. 2017; Shazeer 2020) and the squared ReLU (So et al. 2021).

Shapes: T tokens, F width of the result.

    glu(x) = act(a) * b        a, b = the halves of each row of x        act: GELU, SiLU, ReLU
    squared_relu(x) = max(x, 0)²

With g the gradient of the result, `grad_a = g b act'(a)` and `grad_b = g act(a)`:

    gelu  = a P(a)                  gelu' = P(a) + a p(a)               P, p: normal distribution, density
    silu  = a s                     silu' = s (1 + a (1 - s))           s = 1 / (1 + e^-a)
    gelu_tanh = a (1 + tanh u) / 2 = a s(2u)                           u = sqrt(2/pi) (a + 0.044715 a³)
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from ..backend import Backend
from ..operation import Operation, choose, plain_is_best

Activation = Literal["gelu", "gelu_tanh", "silu", "relu"]

_ACTIVATIONS = get_args(Activation)


def glu(x: Tensor, activation: Activation = "gelu", *, backend: Backend | None = None) -> Tensor:
    """Multiply the activated first half of each row with the second half.

    GeGLU with `gelu`, SwiGLU with `silu`, ReGLU with `relu`; `gelu_tanh` approximates GELU by a tanh.

    Args:
        x: (T, 2F), fp64, fp32, fp16 or bf16, any strides.
        activation: activation of the first half.
        backend: `"triton"`: one kernel for each direction, which keeps only x, for GPUs (or
            TRITON_INTERPRET=1). `"torch"`: PyTorch's kernels, which also keep the activation, because an
            error function takes longer than memory on a CPU; for a small x on a CPU, the definition.
            `"reference"`: the definition, the only backend that is differentiable any number of times. Left
            out: `"triton"` on a GPU where it can, otherwise `"torch"`.

    Returns:
        (T, F), contiguous.

    Raises:
        ValueError: x has another shape or dtype; there is no such activation.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    if x.dim() != 2 or x.shape[1] % 2 or not x.is_floating_point():
        raise ValueError(
            f"x: expected floating point (tokens, an even width), got {x.dtype} {tuple(x.shape)}"
        )
    if activation not in _ACTIVATIONS:
        expected = ", ".join(_ACTIVATIONS)
        raise ValueError(f"activation: expected one of {expected}, got {activation!r}")
    if plain_is_best(backend, x):
        return _plain(x, activation)
    chosen = choose(backend, x, "no float64" if x.dtype == torch.float64 else None)
    if chosen == "triton":
        from .triton import gate  # triton exists only on some machines

        out: Tensor = gate(x, activation)
        return out
    if chosen == "torch":
        out = _torch(x, activation)
        return out
    value, factor = x.chunk(2, dim=1)
    return _activated(value, activation) * factor


def squared_relu(x: Tensor, *, backend: Backend | None = None) -> Tensor:
    """The square of the positive part, elementwise.

    Args:
        x: (T, F), fp64, fp32, fp16 or bf16, any strides.
        backend: as in `glu`; both fused backends keep only x.

    Returns:
        (T, F), contiguous.

    Raises:
        ValueError: x has another shape or dtype.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    if x.dim() != 2 or not x.is_floating_point():
        raise ValueError(f"x: expected floating point (tokens, width), got {x.dtype} {tuple(x.shape)}")
    if plain_is_best(backend, x):
        return _plain_square(x)
    chosen = choose(backend, x, "no float64" if x.dtype == torch.float64 else None)
    if chosen == "triton":
        from .triton import square  # triton exists only on some machines

        out: Tensor = square(x)
        return out
    if chosen == "torch":
        out = _square_torch(x)
        return out
    return F.relu(x).square()


def _activated(x: Tensor, activation: str) -> Tensor:
    match activation:
        case "gelu":
            return F.gelu(x)
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case "silu":
            return F.silu(x)
        case _:
            return torch.relu(x)


def _plain(x: Tensor, activation: str) -> Tensor:
    """The definition for small inputs, where each microsecond beside PyTorch's kernels counts."""
    # `chunk` takes longer, because its views may be changed in place under autograd.
    value, factor = x.unsafe_chunk(2, 1)
    active = _activated(value, activation)
    return (active * factor if torch.is_grad_enabled() else active.mul_(factor)).contiguous()


def _plain_square(x: Tensor) -> Tensor:
    positive = torch.relu(x)
    return (positive.square() if torch.is_grad_enabled() else positive.mul_(positive)).contiguous()


def _forward(x: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """`out`, and the activated half for the backward pass."""
    value, factor = x.chunk(2, dim=1)
    active = _activated(value, activation).contiguous()
    return (active * factor).contiguous(), active


def _backward(grad: Tensor, x: Tensor, active: Tensor, activation: str) -> Tensor:
    """The gradient of x; both halves are written into it, so that nothing is concatenated."""
    value, factor = x.chunk(2, dim=1)
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    grad_value, grad_factor = grad_x.chunk(2, dim=1)
    torch.mul(active, grad, out=grad_factor)
    scaled = grad * factor
    aten = torch.ops.aten
    match activation:
        case "gelu":
            aten.gelu_backward.grad_input(scaled, value, grad_input=grad_value)
        case "gelu_tanh":
            aten.gelu_backward.grad_input(scaled, value, approximate="tanh", grad_input=grad_value)
        case "silu":
            aten.silu_backward.grad_input(scaled, value, grad_input=grad_value)
        case _:
            aten.threshold_backward.grad_input(scaled, value, 0, grad_input=grad_value)
    return grad_x


def _square(x: Tensor) -> Tensor:
    positive = torch.clamp(x, min=0, out=torch.empty(x.shape, dtype=x.dtype, device=x.device))
    return positive.mul_(positive)


def _square_backward(grad: Tensor, x: Tensor) -> Tensor:
    positive = torch.clamp(x, min=0, out=torch.empty(x.shape, dtype=x.dtype, device=x.device))
    return positive.mul_(grad).mul_(2)


_torch = Operation("glu_torch", _forward, _backward, fake=_forward)
_square_torch = Operation("squared_relu_torch", _square, _square_backward, fake=_square)
