"""Gated linear units and the squared ReLU in Triton. Importing it needs triton.

Shapes: T tokens, F width of the result; a program takes ROWS rows of BLOCK columns. Equations: see `glu`.

Forward, a GLU moves 3TF elements, backward 5TF: the activation is computed again from x, because arithmetic
costs less than memory. The squared ReLU moves 2TF and 3TF.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..device import Target
from ..operation import FUSED, Operation, ceil_div, cover, on, on_device, rows_of

WARPS = 4


@triton.jit
def _positive(a):
    """max(a, 0); NaN stays NaN, as in PyTorch."""
    return tl.where(a <= 0.0, 0.0, a)


@triton.jit
def _activate(a, ACTIVATION: tl.constexpr):
    """act(a) and act'(a), in fp32."""
    if ACTIVATION == "gelu":
        share = 0.5 + 0.5 * tl.erf(a * 0.7071067811865476)
        return a * share, share + a * tl.exp(-0.5 * a * a) * 0.3989422804014327
    elif ACTIVATION == "gelu_tanh":
        share = tl.sigmoid(1.5957691216057308 * (a + 0.044715 * a * a * a))
        slope = 1.5957691216057308 * (1.0 + 0.134145 * a * a)
        return a * share, share + a * share * (1.0 - share) * slope
    elif ACTIVATION == "silu":
        share = tl.sigmoid(a)
        return a * share, share + a * share * (1.0 - share)
    else:
        return _positive(a), tl.where(a <= 0.0, 0.0, 1.0)


@triton.jit
def _place(n_rows, F: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Rows (ROWS, 1) and columns (1, BLOCK) of this program, and the mask of those inside the matrix."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = (rows < n_rows)[:, None] & (columns < F)[None, :]
    return rows.to(tl.int64)[:, None], columns[None, :], inside


@triton.jit(do_not_specialize=["n_rows"])
def glu_forward(
    x, out, stride_x, n_rows,
    F: tl.constexpr, ACTIVATION: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Grid: (T / ROWS, F / BLOCK)."""
    row, column, inside = _place(n_rows, F, ROWS, BLOCK)
    at = x + row * stride_x + column
    value = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    factor = tl.load(at + F, mask=inside, other=0.0).to(tl.float32)
    active, _ = _activate(value, ACTIVATION)
    tl.store(out + row * F + column, (active * factor).to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["n_rows"])
def glu_backward(
    grad, x, grad_x, stride_gt, stride_gf, stride_x, n_rows,
    F: tl.constexpr, ACTIVATION: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Grid: (T / ROWS, F / BLOCK)."""
    row, column, inside = _place(n_rows, F, ROWS, BLOCK)
    at = x + row * stride_x + column
    value = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    factor = tl.load(at + F, mask=inside, other=0.0).to(tl.float32)
    slope = tl.load(grad + row * stride_gt + column * stride_gf, mask=inside, other=0.0).to(tl.float32)
    active, steepness = _activate(value, ACTIVATION)
    to = grad_x + row * (2 * F) + column
    tl.store(to, (slope * factor * steepness).to(grad_x.dtype.element_ty), mask=inside)
    tl.store(to + F, (slope * active).to(grad_x.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["n_rows"])
def squared_relu_forward(
    x, out, stride_xt, stride_xf, n_rows, F: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """Grid: (T / ROWS, F / BLOCK)."""
    row, column, inside = _place(n_rows, F, ROWS, BLOCK)
    value = _positive(
        tl.load(x + row * stride_xt + column * stride_xf, mask=inside, other=0.0).to(tl.float32)
    )
    tl.store(out + row * F + column, (value * value).to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["n_rows"])
def squared_relu_backward(
    grad, x, grad_x, stride_gt, stride_gf, stride_xt, stride_xf, n_rows,
    F: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Grid: (T / ROWS, F / BLOCK)."""
    row, column, inside = _place(n_rows, F, ROWS, BLOCK)
    value = tl.load(x + row * stride_xt + column * stride_xf, mask=inside, other=0.0).to(tl.float32)
    slope = tl.load(grad + row * stride_gt + column * stride_gf, mask=inside, other=0.0).to(tl.float32)
    tl.store(
        grad_x + row * F + column, (2.0 * slope * _positive(value)).to(grad_x.dtype.element_ty), mask=inside
    )


def tile(target: Target, width: int) -> tuple[int, int]:
    """ROWS and BLOCK: eight elements of each operand for a thread, with little padding of columns."""
    if target.backend == "cpu":
        return 4, 64
    block = cover(width, 1024)
    return max(1, WARPS * target.warp_size * 8 // block), block


def _cut(x: Tensor, n_rows: int, width: int) -> tuple[tuple[int, int], dict[str, Any]]:
    """The grid over `n_rows` and `width` on the device of x, and the arguments by name of every kernel."""
    rows, block = on_device(tile, x.device, width)
    sizes = {"F": width, "ROWS": rows, "BLOCK": block, "num_warps": WARPS, **FUSED}
    return (ceil_div(n_rows, rows), ceil_div(width, block)), sizes


def _gate(x: Tensor, activation: str) -> Tensor:
    n_rows, width = x.shape[0], x.shape[1] // 2
    out = torch.empty((n_rows, width), dtype=x.dtype, device=x.device)
    if out.numel():
        x = rows_of(x)
        grid, sizes = _cut(x, n_rows, width)
        with on(x.device):
            glu_forward[grid](x, out, x.stride(0), n_rows, ACTIVATION=activation, **sizes)
    return out


def _gate_backward(grad: Tensor, x: Tensor, activation: str) -> Tensor:
    n_rows, width = grad.shape
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if grad_x.numel():
        x = rows_of(x)
        grid, sizes = _cut(x, n_rows, width)
        strides = *grad.stride(), x.stride(0)
        with on(x.device):
            glu_backward[grid](grad, x, grad_x, *strides, n_rows, ACTIVATION=activation, **sizes)
    return grad_x


def _square(x: Tensor) -> Tensor:
    n_rows, width = x.shape
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if out.numel():
        grid, sizes = _cut(x, n_rows, width)
        with on(x.device):
            squared_relu_forward[grid](x, out, *x.stride(), n_rows, **sizes)
    return out


def _square_backward(grad: Tensor, x: Tensor) -> Tensor:
    n_rows, width = x.shape
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if grad_x.numel():
        grid, sizes = _cut(x, n_rows, width)
        with on(x.device):
            squared_relu_backward[grid](grad, x, grad_x, *grad.stride(), *x.stride(), n_rows, **sizes)
    return grad_x


gate = Operation(
    "glu_triton",
    _gate,
    _gate_backward,
    fake=lambda x, activation: x.new_empty((x.shape[0], x.shape[1] // 2)),
)
square = Operation("squared_relu_triton", _square, _square_backward, fake=lambda x: x.new_empty(x.shape))
