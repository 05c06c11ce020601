"""LayerNorm over packed tokens (Ba et al. 2016), with the residual sum that comes before it.

Shapes: T tokens, C width.

    s = x + residual        out = (s - mean(s)) / sqrt(var(s) + eps) * weight + bias

with the mean and the variance of each row.
"""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor
from torch.nn import functional as F

from ..backend import Backend
from ..operation import choose

MAX_TRITON_WIDTH = 8192


@overload
def layer_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    eps: float,
    residual: None = None,
    backend: Backend | None = None,
) -> Tensor: ...


@overload
def layer_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    eps: float,
    residual: Tensor,
    backend: Backend | None = None,
) -> tuple[Tensor, Tensor]: ...


def layer_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    eps: float,
    residual: Tensor | None = None,
    backend: Backend | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Normalise each row to mean 0 and variance 1, then scale and shift the columns.

    Args:
        x: (T, C), fp64, fp32, fp16 or bf16, any strides.
        weight: (C,), of any floating dtype: fp32 beside bf16 tokens, say.
        bias: (C,), of weight's dtype, or None.
        eps: added to the variance.
        residual: (T, C), added to x first, or None. Its dtype may differ from x's; then the sum has the
            wider dtype, as sums in PyTorch have.
        backend: `"triton"`: one fused kernel forward, two backward, for GPUs (or TRITON_INTERPRET=1), C up to
            8,192. `"torch"`: PyTorch's own kernel. `"reference"`: the definition, differentiable any number
            of times. Left out: `"triton"` on a GPU where it can, otherwise `"torch"`.

    Returns:
        out (T, C), contiguous on `triton`, in x's dtype; with a residual, out and x + residual, both in the
        sum's dtype and both differentiable.

    Raises:
        ValueError: shapes do not fit together.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    check_norm(x, weight, bias, residual)
    chosen = choose(backend, x, triton_lacks(x), weight, bias, residual, plain_torch=True)
    if chosen == "triton":
        from .triton import add_norm, norm  # triton exists only on some machines

        weight = weight.contiguous()
        bias = None if bias is None else bias.contiguous()
        operation = norm if residual is None else add_norm
        return operation(x, residual, weight, bias, eps, True)
    total = x if residual is None else x + residual
    if chosen == "torch":
        # Only a CPU takes weights of another dtype: fp32 with half precision.
        halves = total.dtype in (torch.float16, torch.bfloat16)
        if total.is_cuda or weight.dtype != torch.float32 or not halves:
            weight, bias = _of_dtype(total.dtype, weight, bias)
        out = F.layer_norm(total, weight.shape, weight, bias, eps)
    else:
        out = reference_layer_norm(total, *_of_dtype(total.dtype, weight, bias), eps)
    return out if residual is None else (out, total)


def reference_layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """The definition, for one dtype; statistics in at least fp32."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(-1, keepdim=True)
    out = centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + eps) * weight
    return (out if bias is None else out + bias).to(x.dtype)


def check_norm(x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None) -> None:
    """Raise a ValueError that names the tensor, its shape or dtype, and what was expected."""
    shape = x.shape
    if len(shape) != 2 or shape[1] == 0 or not x.is_floating_point():
        raise ValueError(f"x: expected (tokens, width) of floating point, got {x.dtype} {tuple(shape)}")
    if weight.shape != shape[1:]:
        raise ValueError(f"weight: expected shape ({shape[1]},), got {tuple(weight.shape)}")
    if bias is not None and (bias.shape != weight.shape or bias.dtype != weight.dtype):
        expected, got = f"{weight.dtype} ({shape[1]},)", f"{bias.dtype} {tuple(bias.shape)}"
        raise ValueError(f"bias: expected weight's {expected}, got {got}")
    if residual is not None and residual.shape != shape:
        raise ValueError(f"residual: expected x's shape {tuple(shape)}, got {tuple(residual.shape)}")


def triton_lacks(x: Tensor) -> str | None:
    """The reason why the Triton kernels of both norms cannot do this; None if they can."""
    if x.dtype == torch.float64:
        return "no float64"
    return f"no width over {MAX_TRITON_WIDTH}, got {x.shape[1]}" if x.shape[1] > MAX_TRITON_WIDTH else None


def _of_dtype(dtype: torch.dtype, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    return weight.to(dtype), None if bias is None else bias.to(dtype)
