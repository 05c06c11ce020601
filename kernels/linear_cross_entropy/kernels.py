"""Triton kernels of the loss, between the matrix products: statistics, losses and gradients of logits.

Shapes: K rows, V vocabulary; a slice is R rows by N columns of the logits, the vocabulary from `start` on.

A row's statistics are those of the online softmax (Milakov & Gimelshein 2018). A slice with logits z changes
the running maximum m and the running sum l to

    m' = max(m, max z)    l' = l e^(m - m') + sum e^(z - m')

Logits and sums are fp32. The products are those of PyTorch's library.

`start` and, except in the last slice, `n_columns` are multiples of 16, and compiled as such: with a mask that
may end anywhere, no load could take several elements at a time.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def linear_cross_entropy_statistics(
    logits, bias, targets, peak, total, chosen, summed, stride_row, start, n_columns,
    BIAS: tl.constexpr, SMOOTHED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Update the statistics of a row with its part of a slice. Grid: (R,).

    The first slice of the vocabulary reads no statistics. `chosen` gets the target's logit from the slice
    that contains it; it stays NaN for a target that is in no slice.
    """
    row = tl.program_id(0)
    base = logits + row.to(tl.int64) * stride_row
    row_peak = tl.load(peak + row, mask=start > 0, other=float("-inf"))
    row_total = tl.load(total + row, mask=start > 0, other=0.0)
    row_sum = 0.0
    if SMOOTHED:
        row_sum = tl.load(summed + row, mask=start > 0, other=0.0)
    for first in range(0, n_columns, BLOCK):
        columns = first + tl.arange(0, BLOCK)
        inside = columns < n_columns
        score = tl.load(base + columns, mask=inside, other=float("-inf"))
        if BIAS:
            score += tl.load(bias + start + columns, mask=inside, other=0.0).to(tl.float32)
        new_peak = tl.maximum(row_peak, tl.max(score, 0))
        # In a row of -inf alone, -inf - -inf would be NaN.
        anchor = tl.where(new_peak == float("-inf"), 0.0, new_peak)
        row_total *= tl.exp2((row_peak - anchor) * LOG2_E)
        row_total += tl.sum(tl.exp2((score - anchor) * LOG2_E), 0)
        row_peak = new_peak
        if SMOOTHED:
            row_sum += tl.sum(tl.where(inside, score, 0.0), 0)
    tl.store(peak + row, row_peak)
    tl.store(total + row, row_total)
    if SMOOTHED:
        tl.store(summed + row, row_sum)
    column = tl.load(targets + row) - start
    here = (column >= 0) & (column < n_columns)
    score = tl.load(base + column, mask=here, other=float("nan"))
    if BIAS:
        score += tl.load(bias + start + column, mask=here, other=0.0).to(tl.float32)
    tl.store(chosen + row, score, mask=here | (start == 0))


@triton.jit(do_not_specialize=["n_rows", "ignore_index"])
def linear_cross_entropy_losses(
    peak, total, chosen, summed, targets, items, lse, n_rows, n_vocabulary, ignore_index, smoothing, z_loss,
    SMOOTHED: tl.constexpr, Z_LOSS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Losses from the statistics of the whole vocabulary. Grid: (cdiv(K, BLOCK),)."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = rows < n_rows
    row_total = tl.load(total + rows, mask=inside, other=1.0)
    row_lse = tl.load(peak + rows, mask=inside, other=0.0) + tl.log2(row_total) * LN_2
    loss = row_lse - (1.0 - smoothing) * tl.load(chosen + rows, mask=inside, other=0.0)
    if SMOOTHED:
        loss -= smoothing / n_vocabulary * tl.load(summed + rows, mask=inside, other=0.0)
    if Z_LOSS:
        loss += z_loss * row_lse * row_lse
    ignored = tl.load(targets + rows, mask=inside, other=0) == ignore_index
    tl.store(items + rows, tl.where(ignored, 0.0, loss), mask=inside)
    tl.store(lse + rows, row_lse, mask=inside)


@triton.jit(do_not_specialize=["n_rows", "ignore_index"])
def linear_cross_entropy_gradients(
    logits, grads, bias, targets, lse, grad_items, scale, partial,
    stride_row, stride_grad, stride_partial, start, n_rows, n_columns, n_vocabulary, ignore_index,
    gain, smoothing, z_loss,
    BIAS: tl.constexpr, SMOOTHED: tl.constexpr, Z_LOSS: tl.constexpr, SUM_ROWS: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Gradients of a slice's logits, times gain / scale. Grid: (cdiv(R, BLOCK_R), cdiv(N, BLOCK_N)).

    `grads` has the strides of `logits`. `partial` (cdiv(R, BLOCK_R), N) gets the sums over each program's
    rows; the bias' gradient adds them up, always in the same order.
    """
    rows = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    columns = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    real = rows < n_rows
    inside = columns < n_columns
    target = tl.load(targets + rows, mask=real, other=0)
    row_lse = tl.load(lse + rows, mask=real, other=0.0)
    factor = tl.load(grad_items + rows.to(tl.int64) * stride_grad, mask=real, other=0.0).to(tl.float32)
    factor = factor / tl.load(scale) * gain
    # A target out of range has loss NaN.
    factor = tl.where((target >= 0) & (target < n_vocabulary), factor, float("nan"))

    at = rows.to(tl.int64)[:, None] * stride_row + columns[None, :]
    there = real[:, None] & inside[None, :]
    score = tl.load(logits + at, mask=there, other=0.0)
    if BIAS:
        score += tl.load(bias + start + columns, mask=inside, other=0.0).to(tl.float32)[None, :]
    grad = tl.exp2((score - row_lse[:, None]) * LOG2_E)
    if Z_LOSS:
        grad *= (1.0 + 2.0 * z_loss * row_lse)[:, None]
    if SMOOTHED:
        grad -= smoothing / n_vocabulary
    is_target = (start + columns)[None, :] == target[:, None]
    grad = (grad - tl.where(is_target, 1.0 - smoothing, 0.0)) * factor[:, None]
    # In an ignored row even an infinite logit gives gradient 0.
    grad = tl.where((target != ignore_index)[:, None] & there, grad, 0.0)
    tl.store(grads + at, grad.to(grads.dtype.element_ty), mask=there)
    if SUM_ROWS:
        sums = partial + tl.program_id(0).to(tl.int64) * stride_partial + columns
        tl.store(sums, tl.sum(grad, 0), mask=inside)
