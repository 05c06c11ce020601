"""RMSNorm over packed tokens (Zhang & Sennrich 2019), with the residual sum that comes before it.

Shapes: T tokens, C width.

    s = x + residual        out = s / sqrt(mean(s²) + eps) * weight

with the mean of each row.
"""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor

from ..backend import Backend
from ..operation import Operation, choose
from .layer_norm import check_norm, triton_lacks


@overload
def rms_norm(
    x: Tensor, weight: Tensor, *, eps: float, residual: None = None, backend: Backend | None = None
) -> Tensor: ...


@overload
def rms_norm(
    x: Tensor, weight: Tensor, *, eps: float, residual: Tensor, backend: Backend | None = None
) -> tuple[Tensor, Tensor]: ...


def rms_norm(
    x: Tensor, weight: Tensor, *, eps: float, residual: Tensor | None = None, backend: Backend | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """Scale each row to a mean square of 1, then scale the columns.

    Args:
        x: (T, C), fp64, fp32, fp16 or bf16, any strides.
        weight: (C,), of any floating dtype.
        eps: added to the mean square.
        residual: (T, C), added to x first, or None; see `layer_norm`.
        backend: as in `layer_norm`; `"torch"` saves x and a number a row, and has its backward pass written
            out, without a second derivative.

    Returns:
        out (T, C) in x's dtype; with a residual, out and x + residual, both in the sum's dtype and both
        differentiable.

    Raises:
        ValueError: shapes do not fit together.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    check_norm(x, weight, None, residual)
    chosen = choose(backend, x, triton_lacks(x), weight, residual)
    if chosen == "triton":
        from .triton import add_norm, norm  # triton exists only on some machines

        operation = norm if residual is None else add_norm
        return operation(x, residual, weight.contiguous(), None, eps, False)
    total = x if residual is None else x + residual
    norm_rows = _torch if chosen == "torch" else reference_rms_norm
    out = norm_rows(total, weight.to(total.dtype), eps)
    return out if residual is None else (out, total)


def reference_rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """The definition, for one dtype; statistics in at least fp32."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps) * weight).to(x.dtype)


def _forward(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """`out`, and 1/rms of each row (T, 1)."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    rstd = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    rstd = rstd.square_().div_(x.shape[1]).add_(eps).rsqrt_()
    return (wide * rstd).mul_(weight).to(x.dtype), rstd


def _backward(grad: Tensor, x: Tensor, weight: Tensor, rstd: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Gradients of x and the weight; the equations are in `triton.py`. `rstd` contains `eps` already."""
    grad = grad.to(rstd.dtype)
    normal = x * rstd
    product = grad * normal
    # Not `@`, which autocast would round to bfloat16 on a CPU.
    along = torch.mv(product, weight.to(rstd.dtype)).div_(x.shape[1])
    grad_weight = product.sum(0)
    grad_x = torch.mul(grad, weight, out=product).addcmul_(normal, along[:, None], value=-1).mul_(rstd)
    return grad_x.to(x.dtype), grad_weight.to(weight.dtype)


_torch = Operation("rms_norm_torch", _forward, _backward, fake=_forward)
