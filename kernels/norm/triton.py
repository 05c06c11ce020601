"""LayerNorm and RMSNorm in Triton, with the residual sum fused. Importing it needs triton.

Shapes: T tokens, C width, P programs. A program takes ROWS whole rows at a time, padded to BLOCK_C.

    s = x + residual        xhat = (s - mean) rstd        out = xhat w + b        (RMSNorm: mean = 0, no b)

The forward pass reads x (and the residual) and writes out (and the sum): 2TC elements, or 4TC. It keeps eight
bytes a row, mean and rstd in fp32; the backward pass gets xhat back from them. With u = g w,

    grad_s = rstd (u - xhat avg(u xhat) - avg(u))        grad_w = sum g xhat        grad_b = sum g

(RMSNorm: without avg(u)) it reads x and g and writes grad_s: 3TC elements, 4TC with a gradient of the sum.

The last two sums run over all rows. Atomic additions would come in any order. Instead, about as many programs
as run at the same time walk over all tiles and keep their shares in registers, and a second kernel adds the P
shares up, always in the same order. At two programs a multiprocessor that moves 16 P C bytes, in the cache.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..device import Target
from ..operation import FUSED, Operation, ceil_div, on, on_device, power_of_two, processors, rows_of

PROGRAMS_A_PROCESSOR = 2
REDUCED_ROWS, REDUCED_COLUMNS = 64, 32


@triton.jit
def moments(value, columns, eps, C: tl.constexpr, BLOCK_C: tl.constexpr, CENTERED: tl.constexpr):
    """Mean and 1/deviation of rows in fp32, in two passes over registers, so that nothing cancels."""
    if CENTERED:
        mean = tl.sum(value, 1) * (1.0 / C)
        value = value - mean[:, None]
        if BLOCK_C != C:
            value = tl.where(columns[None, :] < C, value, 0.0)
    else:
        mean = tl.zeros([value.shape[0]], tl.float32)
    return mean, tl.rsqrt(tl.sum(value * value, 1) * (1.0 / C) + eps)


@triton.jit
def normalise(value, mean, rstd, scale, bias, columns, C: tl.constexpr):
    """Normalise rows; `bias` is a pointer or None."""
    out = (value - mean[:, None]) * rstd[:, None] * scale[None, :]
    if bias is not None:
        out += tl.load(bias + columns, mask=columns < C, other=0.0).to(tl.float32)[None, :]
    return out


@triton.jit
def store_moments(stats, rows, n_rows, mean, rstd, CENTERED: tl.constexpr):
    """`stats` is rstd (1, T), or mean and rstd (2, T)."""
    if CENTERED:
        tl.store(stats + rows, mean, mask=rows < n_rows)
        tl.store(stats + n_rows + rows, rstd, mask=rows < n_rows)
    else:
        tl.store(stats + rows, rstd, mask=rows < n_rows)


@triton.jit
def input_gradient(grad, value, scale, stats, rows, n_rows, C: tl.constexpr, CENTERED: tl.constexpr):
    """The gradient of rows of s, and xhat, which is not valid outside the matrix, where `grad` is zero."""
    rstd = tl.load(stats + n_rows + rows if CENTERED else stats + rows, mask=rows < n_rows, other=0.0)
    if CENTERED:
        value = value - tl.load(stats + rows, mask=rows < n_rows, other=0.0)[:, None]
    normal = value * rstd[:, None]
    scaled = grad * scale[None, :]
    along = tl.sum(scaled * normal, 1) * (1.0 / C)
    result = scaled - normal * along[:, None]
    if CENTERED:
        result -= (tl.sum(scaled, 1) * (1.0 / C))[:, None]
    return result * rstd[:, None], normal


@triton.jit(do_not_specialize=["n_rows"])
def norm_forward(
    x, residual, weight, bias, out, total, stats, stride_x, stride_r, n_rows, eps,
    C: tl.constexpr, BLOCK_C: tl.constexpr, ROWS: tl.constexpr, CENTERED: tl.constexpr,
):  # fmt: skip
    """Normalise ROWS rows. Grid: (T / ROWS,). `residual` and `total` are both there or both None."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, BLOCK_C)
    inside = (rows < n_rows)[:, None] & (columns < C)[None, :]
    row = rows.to(tl.int64)[:, None]
    value = tl.load(x + row * stride_x + columns[None, :], mask=inside, other=0.0).to(tl.float32)
    if residual is not None:
        value += tl.load(residual + row * stride_r + columns[None, :], mask=inside, other=0.0).to(tl.float32)
        rounded = value.to(total.dtype.element_ty)
        tl.store(total + row * C + columns[None, :], rounded, mask=inside)
        value = rounded.to(tl.float32)
    mean, rstd = moments(value, columns, eps, C, BLOCK_C, CENTERED)
    scale = tl.load(weight + columns, mask=columns < C, other=0.0).to(tl.float32)
    result = normalise(value, mean, rstd, scale, bias, columns, C)
    tl.store(out + row * C + columns[None, :], result.to(out.dtype.element_ty), mask=inside)
    store_moments(stats, rows, n_rows, mean, rstd, CENTERED)


@triton.jit(do_not_specialize=["n_rows"])
def norm_backward(
    grad, grad_total, x, weight, stats, grad_x, shares, stride_g, stride_t, stride_x, n_rows,
    C: tl.constexpr, BLOCK_C: tl.constexpr, ROWS: tl.constexpr, CENTERED: tl.constexpr, BIAS: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """Walk over every P-th tile. Grid: (P,). `shares` is (1, P, C), or (2, P, C) with a bias."""
    columns = tl.arange(0, BLOCK_C)
    scale = tl.load(weight + columns, mask=columns < C, other=0.0).to(tl.float32)
    share_w = tl.zeros([ROWS, BLOCK_C], tl.float32)
    share_b = tl.zeros([ROWS, BLOCK_C], tl.float32)
    program, step = tl.program_id(0), tl.num_programs(0)
    for tile in tl.range(program, tl.cdiv(n_rows, ROWS), step, num_stages=STAGES):
        rows = tile * ROWS + tl.arange(0, ROWS)
        inside = (rows < n_rows)[:, None] & (columns < C)[None, :]
        row = rows.to(tl.int64)[:, None]
        value = tl.load(x + row * stride_x + columns[None, :], mask=inside, other=0.0).to(tl.float32)
        slope = tl.load(grad + row * stride_g + columns[None, :], mask=inside, other=0.0).to(tl.float32)
        result, normal = input_gradient(slope, value, scale, stats, rows, n_rows, C, CENTERED)
        if grad_total is not None:
            at = grad_total + row * stride_t + columns[None, :]
            result += tl.load(at, mask=inside, other=0.0).to(tl.float32)
        tl.store(grad_x + row * C + columns[None, :], result.to(grad_x.dtype.element_ty), mask=inside)
        share_w += slope * normal
        if BIAS:
            share_b += slope
    at = shares + program * C + columns
    tl.store(at, tl.sum(share_w, 0), mask=columns < C)
    if BIAS:
        tl.store(at + step * C, tl.sum(share_b, 0), mask=columns < C)


@triton.jit(do_not_specialize=["n_shares"])
def norm_add_shares(
    shares, grad_weight, grad_bias, n_shares,
    C: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Add up the programs' shares of BLOCK_C columns. Grid: (C / BLOCK_C, 2), or 1 without a bias (None)."""
    columns = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    shares += tl.program_id(1) * n_shares * C
    acc = tl.zeros([BLOCK_P, BLOCK_C], tl.float32)
    for start in range(0, n_shares, BLOCK_P):
        rows = start + tl.arange(0, BLOCK_P)
        inside = (rows < n_shares)[:, None] & (columns < C)[None, :]
        acc += tl.load(shares + rows[:, None] * C + columns[None, :], mask=inside, other=0.0)
    result = tl.sum(acc, 0)
    if grad_bias is None or tl.program_id(1) == 0:
        tl.store(grad_weight + columns, result.to(grad_weight.dtype.element_ty), mask=columns < C)
    else:
        tl.store(grad_bias + columns, result.to(grad_bias.dtype.element_ty), mask=columns < C)


@dataclass(frozen=True)
class Plan:
    """Block sizes for the rows of a matrix; not yet tuned by running.

    Attributes:
        block_c: the width, rounded up to a power of two.
        rows: rows of a forward program.
        warps: warps of a forward program: sixteen elements a thread.
        backward_rows: rows that a backward program takes at a time.
        backward_warps: warps of a backward program: 32 bytes a thread of x and as many of g, on twice as many
            threads. Beside them it holds two sums, so that two programs fill a multiprocessor's registers.
            Their next tiles, 32 KiB, are in flight meanwhile, which hides the latency of memory.
        backward_stages: tiles in flight; AMD's shared memory has no room for a second one.
    """

    block_c: int
    rows: int
    warps: int
    backward_rows: int
    backward_warps: int
    backward_stages: int


def plan(target: Target, width: int, itemsize: int) -> Plan:
    """The plan for rows of up to 8,192 elements of `itemsize` bytes on a target."""
    block_c = max(16, power_of_two(width))
    if target.backend == "cpu":
        return Plan(block_c, 8, 1, 4, 1, 1)
    return Plan(
        block_c,
        rows=max(1, 2048 // block_c),
        warps=max(4, block_c // 512),
        backward_rows=max(1, 8192 // itemsize // block_c),
        backward_warps=max(8, block_c // 512),
        backward_stages=1 if target.backend == "hip" else 2,
    )


def _forward(
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor | None, eps: float, centered: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """`out`, the sum, which has no elements without a residual, and statistics (1 or 2, T)."""
    n_rows, width = x.shape
    dtype = x.dtype if residual is None else torch.promote_types(x.dtype, residual.dtype)
    out = torch.empty((n_rows, width), dtype=dtype, device=x.device)
    total = torch.empty(0 if residual is None else (n_rows, width), dtype=dtype, device=x.device)
    stats = torch.empty((1 + centered, n_rows), dtype=torch.float32, device=x.device)
    if n_rows:
        x = rows_of(x)
        residual = None if residual is None else rows_of(residual)
        cut: Plan = on_device(plan, x.device, width, x.itemsize)
        with on(x.device):
            norm_forward[(ceil_div(n_rows, cut.rows),)](
                x, residual, weight, bias, out, None if residual is None else total, stats,
                x.stride(0), 0 if residual is None else residual.stride(0), n_rows, eps,
                C=width, BLOCK_C=cut.block_c, ROWS=cut.rows, CENTERED=centered,
                num_warps=cut.warps, **FUSED,
            )  # fmt: skip
    return out, total, stats


def empty_shares(n_rows: int, cut: Plan, width: int, has_bias: bool, device: torch.device) -> Tensor:
    """(1 or 2, P, C): the programs' shares in the gradients of weight and bias, not yet written."""
    programs = min(ceil_div(n_rows, cut.backward_rows), processors(device) * PROGRAMS_A_PROCESSOR)
    return torch.empty((1 + has_bias, programs, width), dtype=torch.float32, device=device)


def add_shares(shares: Tensor, grad_weight: Tensor, grad_bias: Tensor | None) -> None:
    """Reduce `shares` (1 or 2, P, C) to the gradients of weight and bias, on the current device."""
    n_shares, width = shares.shape[1:]
    norm_add_shares[(ceil_div(width, REDUCED_COLUMNS), shares.shape[0])](
        shares, grad_weight, grad_bias, n_shares,
        C=width, BLOCK_P=REDUCED_ROWS, BLOCK_C=REDUCED_COLUMNS, num_warps=4, **FUSED,
    )  # fmt: skip


def _backward(
    grad: Tensor, grad_total: Tensor | None, x: Tensor, weight: Tensor, stats: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the sum, the weight and the bias; the last without elements if there is no bias."""
    n_rows, width = x.shape
    grad_x = torch.empty((n_rows, width), dtype=x.dtype, device=x.device)
    grad_weight = torch.empty_like(weight)
    grad_bias = torch.empty_like(weight) if has_bias else weight.new_empty(0)
    if n_rows == 0:
        return grad_x, grad_weight.zero_(), grad_bias.zero_()
    x, grad = rows_of(x), rows_of(grad)
    grad_total = None if grad_total is None else rows_of(grad_total)
    cut: Plan = on_device(plan, x.device, width, x.itemsize)
    shares = empty_shares(n_rows, cut, width, has_bias, x.device)
    with on(x.device):
        norm_backward[(shares.shape[1],)](
            grad, grad_total, x, weight, stats, grad_x, shares,
            grad.stride(0), 0 if grad_total is None else grad_total.stride(0), x.stride(0), n_rows,
            C=width, BLOCK_C=cut.block_c, ROWS=cut.backward_rows, CENTERED=stats.shape[0] == 2, BIAS=has_bias,
            STAGES=cut.backward_stages, num_warps=cut.backward_warps, **FUSED,
        )  # fmt: skip
        add_shares(shares, grad_weight, grad_bias if has_bias else None)
    return grad_x, grad_weight, grad_bias


def _fake(
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor | None, eps: float, centered: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dtype = x.dtype if residual is None else torch.promote_types(x.dtype, residual.dtype)
    total = x.new_empty(0 if residual is None else x.shape, dtype=dtype)
    stats = x.new_empty((1 + centered, x.shape[0]), dtype=torch.float32)
    return x.new_empty(x.shape, dtype=dtype), total, stats


def _fake_backward(
    grad: Tensor, grad_total: Tensor | None, x: Tensor, weight: Tensor, stats: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    grad_bias = weight.new_empty(weight.shape[0] if has_bias else 0)
    return x.new_empty(x.shape), weight.new_empty(weight.shape), grad_bias


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, residual, weight, bias, *_ = inputs
    ctx.save_for_backward(x if residual is None else output[1], weight, output[2])
    ctx.has_bias = bias is not None
    ctx.dtypes = x.dtype, None if residual is None else residual.dtype


def _differentiate(
    backward: Any, ctx: Any, grad: Tensor | None, grad_total: Tensor | None = None
) -> tuple[Tensor | None, ...]:
    total, weight, stats = ctx.saved_tensors
    if grad is None:
        grad = torch.zeros_like(total)
    both, grad_weight, grad_bias = backward(grad, grad_total, total, weight, stats, ctx.has_bias)
    grad_x, grad_residual = (None if dtype is None else both.to(dtype) for dtype in ctx.dtypes)
    return grad_x, grad_residual, grad_weight, grad_bias if ctx.has_bias else None, None, None


# Of x alone, and of x plus a residual; only the latter has the sum as a visible output.
norm, add_norm = (
    Operation(
        name,
        _forward,
        _backward,
        fake=_fake,
        fake_backward=_fake_backward,
        save=_save,
        differentiate=_differentiate,
        visible=visible,
    )
    for name, visible in (("norm_triton", 1), ("add_norm_triton", 2))
)
