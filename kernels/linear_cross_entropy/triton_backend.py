"""The `triton` backend: the library's matrix products and our kernels, slice by slice. Importing it needs
triton.

Shapes: K rows, C width, V vocabulary; a slice is R rows by N columns of the logits. See `slices.py` for why.

    forward     for each slice:  logits = rows weight^T;  statistics of rows
    backward    for each slice:  logits again;  g = their gradient
                                 grad_rows += g weight;  grad_weight = g^T rows;  grad_bias = sum g

Logits are fp32 for every input dtype: rounded to bf16, a logit of 10 is off by up to 0.03, and its
probability by 3%. Their gradient g has the inputs' dtype, for the products. Half precision would lose small
values: 1/V of 1/K of a loss is 0 in fp16. So g is relative to the largest gradient of any row, which is
found, and multiplied in again, on the device in fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..operation import FUSED, Operation, ceil_div, full_precision, on
from .autograd import differentiate, fake_grads
from .kernels import (
    linear_cross_entropy_gradients,
    linear_cross_entropy_losses,
    linear_cross_entropy_statistics,
)
from .options import LossOptions
from .slices import Slicing, slicing

STATISTICS_BLOCK = 2048
LOSSES_BLOCK = 128
GRADIENT_BLOCK = (32, 128)
WARPS = 4
# A power of two, so exact. In fp16 it lifts a probability of 1 in 500,000 into the normal numbers.
GAINS = {torch.float16: 1024.0}


def forward(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
) -> tuple[Tensor, Tensor]:
    """Losses of rows.

    Args:
        rows: (K, C).
        weight: (V, C).
        bias: (V,), contiguous, or None.
        targets: (K,), contiguous.
        ignore_index: a row with this target has loss 0 and gradient 0.
        label_smoothing: see `LossOptions`.
        z_loss: see `LossOptions`.

    Returns:
        Losses (K,) and lse (K,), both fp32.
    """
    n_rows, n_vocabulary = rows.shape[0], weight.shape[0]
    statistics = rows.new_empty((6, n_rows), dtype=torch.float32)
    peak, total, chosen, summed, items, lse = statistics
    if n_rows == 0:
        return items.clone(), lse.clone()
    plan = slicing(n_rows, n_vocabulary)
    buffer = _buffer(plan, rows)
    with on(rows.device), full_precision(rows):
        for columns in plan.over_vocabulary():
            for part in plan.over_rows():
                logits = _of_slice(buffer, part, columns)
                _add_product(logits, rows[part], weight[columns].t(), False)
                linear_cross_entropy_statistics[(logits.shape[0],)](
                    logits, bias, targets[part], peak[part], total[part], chosen[part], summed[part],
                    logits.stride(0), columns.start, logits.shape[1],
                    BIAS=bias is not None, SMOOTHED=label_smoothing > 0, BLOCK=STATISTICS_BLOCK,
                    num_warps=WARPS, **FUSED,
                )  # fmt: skip
        linear_cross_entropy_losses[(ceil_div(n_rows, LOSSES_BLOCK),)](
            peak, total, chosen, summed, targets, items, lse,
            n_rows, n_vocabulary, ignore_index, label_smoothing, z_loss,
            SMOOTHED=label_smoothing > 0, Z_LOSS=z_loss > 0, BLOCK=LOSSES_BLOCK, num_warps=WARPS, **FUSED,
        )  # fmt: skip
    return items.clone(), lse.clone()


def backward(
    grad_items: Tensor,
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    lse: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    needs: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of rows, weight and bias, contiguous and in their dtypes.

    `grad_items` (K,) has any stride; `lse` (K,) is that of `forward`, as are the other arguments. `needs`
    says which of the three gradients to compute; those left out have no elements.
    """
    needs_rows, needs_weight, needs_bias = needs
    n_rows, n_vocabulary, width = rows.shape[0], weight.shape[0], rows.shape[1]
    grad_rows = rows.new_empty(rows.shape if needs_rows else 0)
    grad_weight = weight.new_empty(weight.shape if needs_weight else 0)
    sums = torch.float32
    bias_total = rows.new_zeros(n_vocabulary if needs_bias else 0, dtype=sums)
    if n_rows == 0:
        return grad_rows, grad_weight.zero_(), bias_total.to(rows.dtype)
    plan = slicing(n_rows, n_vocabulary)
    buffer = _buffer(plan, rows)
    grad_buffer = torch.empty_like(buffer, dtype=rows.dtype)
    rows_total = rows.new_empty(grad_rows.shape, dtype=sums)
    weight_total = rows.new_empty((plan.columns, width) if needs_weight else 0, dtype=sums)
    n_partial = ceil_div(plan.rows, GRADIENT_BLOCK[0]) if needs_bias else 1
    partial = rows.new_empty(n_partial, plan.columns, dtype=sums)
    scale = _largest(grad_items, targets, lse, ignore_index, z_loss)
    gain = GAINS.get(rows.dtype, 1.0)
    unit = scale / gain
    with on(rows.device), full_precision(rows):
        for columns in plan.over_vocabulary():
            vocabulary = weight[columns]
            for part in plan.over_rows():
                logits, grads = (_of_slice(x, part, columns) for x in (buffer, grad_buffer))
                _add_product(logits, rows[part], vocabulary.t(), False)
                grid = tuple(map(ceil_div, logits.shape, GRADIENT_BLOCK))
                linear_cross_entropy_gradients[grid](
                    logits, grads, bias, targets[part], lse[part], grad_items[part], scale, partial,
                    logits.stride(0), grad_items.stride(0), partial.stride(0),
                    columns.start, *logits.shape, n_vocabulary, ignore_index, gain, label_smoothing, z_loss,
                    BIAS=bias is not None, SMOOTHED=label_smoothing > 0, Z_LOSS=z_loss > 0,
                    SUM_ROWS=needs_bias,
                    BLOCK_R=GRADIENT_BLOCK[0], BLOCK_N=GRADIENT_BLOCK[1], num_warps=WARPS, **FUSED,
                )  # fmt: skip
                if needs_rows:
                    _add_product(rows_total[part], grads, vocabulary, columns.start > 0)
                if needs_weight:
                    _add_product(weight_total[: grads.shape[1]], grads.t(), rows[part], part.start > 0)
                if needs_bias:
                    bias_total[columns] += partial[: grid[0], : logits.shape[1]].sum(0)
            if needs_weight:
                torch.mul(weight_total[: vocabulary.shape[0]], unit, out=grad_weight[columns])
        if needs_rows:
            torch.mul(rows_total, unit, out=grad_rows)
    return grad_rows, grad_weight, bias_total.mul_(unit).to(rows.dtype)


def _fake(rows: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    items = rows.new_empty(rows.shape[0], dtype=torch.float32)
    return items, torch.empty_like(items)


items_triton = Operation(
    "linear_cross_entropy_triton",
    forward,
    backward,
    fake=_fake,
    fake_backward=lambda grad, rows, weight, *rest: fake_grads(rows, weight, rest[-1]),
    differentiate=differentiate,
)


def triton_items(
    rows: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, options: LossOptions
) -> Tensor:
    """Losses (K,) in fp32, 0 where ignored; arguments as in `forward`."""
    contiguous_bias = None if bias is None else bias.contiguous()
    items: Tensor = items_triton(rows, weight, contiguous_bias, targets.contiguous(), *options.flat())
    return items


def _buffer(plan: Slicing, rows: Tensor) -> Tensor:
    """Memory for the logits of one slice, with aligned rows."""
    return rows.new_empty(plan.rows, plan.columns, dtype=torch.float32)


def _of_slice(buffer: Tensor, part: slice, columns: slice) -> Tensor:
    return buffer[: part.stop - part.start, : columns.stop - columns.start]


def _largest(grad_items: Tensor, targets: Tensor, lse: Tensor, ignore_index: int, z_loss: float) -> Tensor:
    """A scalar, no less than the largest factor of any row's softmax in the gradient.

    It is a power of two, so that dividing by it rounds nothing, and never 0.
    """
    size = torch.where(targets != ignore_index, grad_items.abs(), 0.0)
    if z_loss:
        size = size * (1.0 + 2.0 * z_loss * lse.abs())
    largest = size.amax().clamp_min(torch.finfo(torch.float32).tiny)
    return torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent)


def _add_product(total: Tensor, a: Tensor, b: Tensor, more: bool) -> None:
    """Write a b to `total`, or add it if `more`; in fp32 for every dtype of a and b."""
    if a.is_cuda and a.dtype != torch.float32 and torch.version.hip is None:
        if more:
            torch.addmm(total, a, b, out_dtype=torch.float32, out=total)
        else:
            torch.mm(a, b, out_dtype=torch.float32, out=total)
    else:
        # ROCm and the CPU have no product of half precision with an fp32 result.
        torch.addmm(total, a.float(), b.float(), beta=float(more), out=total)
