"""The `torch` backend: PyTorch's own kernels on a chunk of rows at a time, for the CPU.

Shapes: K rows, C width, V vocabulary; a chunk is R rows with the whole vocabulary.

Where the result is one number, the share of each row in it is known before anything is computed, so the
gradients are computed in the forward pass, while the logits of a chunk are still in the cache: three
products, as in plain PyTorch, but without writing K V elements to fresh memory. The backward pass multiplies
by the incoming gradient, and rounds to half precision only then. Where the loss of every row is asked for
(`reduction="none"`), the shares are not known. If there is only one chunk, the gradient of its logits is kept
for the backward pass, in the memory that a chunk takes anyway; with several, the backward pass computes the
logits again.

With p = softmax(z) the gradient of a row's loss is g = (1 + 2 c lse) p - (1 - e) [v = target] - e / V. In
half precision g is kept without the row's share, which multiplies the other factor, relative to the largest
share: 1/K of g would be too small for fp16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..operation import Operation, full_precision, is_eager
from .autograd import differentiate, fake_grads
from .options import LossOptions

# 128 MiB of fp32. At V = 16,384 it is as fast as fewer rows; at V = 250,000 chunks have enough rows, so that
# the weight's gradient is not read and written too often.
CHUNK_ELEMENTS = 1 << 25
FEWEST_ROWS, MOST_ROWS = 64, 512


def walk(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    options: LossOptions,
    shares: Tensor | None,
    needs: Sequence[bool],
    kept: Tensor | None = None,
    known: bool = False,
    widely: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Losses of all rows, and gradients of the sum of their shares.

    Args:
        rows: (K, C).
        weight: (V, C).
        bias: (V,) or None.
        targets: (K,).
        options: options of the loss.
        shares: (K,) factor of each row's loss in the result, if gradients are needed.
        needs: whether to compute the gradients of rows, weight and bias; those left out have no elements.
        kept: (K, V), fp32 or fp64, for the gradients of the logits, if there is one chunk.
        known: whether `kept` holds them already; then the losses are not computed.
        widely: whether gradients have the losses' dtype, and not the inputs'.

    Returns:
        losses (K,), 0 where ignored, in fp32, or fp64 for fp64 inputs; gradients in the inputs' dtypes.
    """
    n_rows, n_vocabulary, dtype = rows.shape[0], weight.shape[0], rows.dtype
    wide = torch.promote_types(dtype, torch.float32)
    if dtype != wide and not _has_products(rows):
        wider = rows.to(wide), weight.to(wide), None if bias is None else bias.to(wide)
        items, *grads = walk(*wider, targets, options, shares, needs, kept, known)
        final = wide if widely else dtype
        return items, grads[0].to(final), grads[1].to(final), grads[2].to(final)
    counts = targets != options.ignore_index
    items = rows.new_empty(n_rows, dtype=wide)
    grad_rows = rows.new_empty(rows.shape if needs[0] else 0, dtype=wide if widely else dtype)
    weight_total = weight.new_empty(weight.shape if needs[1] else 0, dtype=wide)
    bias_total = weight.new_zeros(n_vocabulary if needs[2] else 0, dtype=wide)
    if n_rows == 0:
        weight_total.zero_()
    at_once = chunk_rows(n_rows, n_vocabulary)
    buffer = rows.new_empty(min(at_once, n_rows), n_vocabulary, dtype=wide) if kept is None else kept
    narrow = buffer if dtype == wide else torch.empty_like(buffer, dtype=dtype)
    wants_gradients = kept is not None or (shares is not None and any(needs))
    unit = None
    if shares is not None and n_rows:
        shares = torch.where(counts, shares, 0.0).to(wide)
        if dtype != wide:
            unit = shares.abs().amax().clamp_min(torch.finfo(wide).tiny)
            shares = shares / unit
    with full_precision(rows):
        for start in range(0, n_rows, at_once):
            part = slice(start, start + at_once)
            some = rows[part]
            grad = buffer[: some.shape[0]]
            if not known:
                items[part] = _chunk(
                    some, weight, bias, targets[part], counts[part], options, grad, narrow, wants_gradients
                )
            if shares is None or not any(needs):
                continue
            share = shares[part]
            if needs[2]:
                bias_total.addmv_(grad.t(), share)
            if dtype != wide:
                grad = narrow[: some.shape[0]].copy_(grad)
            if needs[0]:
                factor = share if unit is None else share * unit
                torch.mul(grad @ weight, factor[:, None], out=grad_rows[part])
            if needs[1]:
                _add_product(weight_total, grad.t(), some * share.to(dtype)[:, None], start == 0)
    if unit is not None:
        weight_total, bias_total = weight_total * unit, bias_total * unit
    final = wide if widely else dtype
    return items, grad_rows, weight_total.to(final), bias_total.to(final)


def _chunk(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    counts: Tensor,
    options: LossOptions,
    grad: Tensor,
    narrow: Tensor,
    wants_gradients: bool,
) -> Tensor:
    """Losses (R,) of a chunk; writes the gradients of its logits, also of ignored rows, to `grad` (R, V)."""
    logits = grad if narrow.dtype == grad.dtype else narrow[: rows.shape[0]]
    if bias is None:
        torch.mm(rows, weight.t(), out=logits)
    else:
        torch.addmm(bias, rows, weight.t(), out=logits)
    if logits is not grad:
        grad.copy_(logits)
    smoothing, z_loss = options.label_smoothing, options.z_loss
    peak = grad.amax(1) if smoothing or z_loss else None
    mean = grad.mean(1) if smoothing else None
    torch.log_softmax(grad, 1, out=grad)
    loss = F.nll_loss(grad, targets, ignore_index=options.ignore_index, reduction="none")
    factor = None
    if peak is not None:
        lse = peak - grad.amax(1)
        if mean is not None:
            loss = (1.0 - smoothing) * loss + smoothing * (lse - mean)
        if z_loss:
            loss += z_loss * lse.square()
            factor = 1.0 + 2.0 * z_loss * lse
        loss = torch.where(counts, loss, 0.0)
    if wants_gradients:
        grad.exp_()
        if factor is not None:
            grad *= factor[:, None]
        if smoothing:
            grad -= smoothing / weight.shape[0]
        column = torch.where(counts, targets, 0)[:, None]
        grad.scatter_add_(1, column, grad.new_full((), smoothing - 1.0).expand(column.shape))
    return loss


def _has_products(x: Tensor) -> bool:
    """Whether this device has instructions for matrix products in x's half precision.

    On a CPU without them fp32 is 25 times as fast, including the conversion.
    """
    if x.device.type != "cpu":
        return True
    if x.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())


def _add_product(total: Tensor, a: Tensor, b: Tensor, first: bool) -> None:
    """Add a @ b to `total`; the first product overwrites it."""
    if a.dtype == total.dtype:
        total.addmm_(a, b, beta=0.0 if first else 1.0)
    elif first:
        total.copy_(a @ b)
    else:
        total += a @ b


def forward(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    keeps: bool,
) -> tuple[Tensor, Tensor]:
    """Losses (K,) of rows and, if `keeps`, which needs a single chunk, the gradients (K, V) of the logits."""
    options = LossOptions(ignore_index, label_smoothing, z_loss)
    wide = torch.promote_types(rows.dtype, torch.float32)
    kept = rows.new_empty((rows.shape[0], weight.shape[0]) if keeps else 0, dtype=wide)
    items = walk(rows, weight, bias, targets, options, None, (False,) * 3, kept if keeps else None)[0]
    return items, kept


def backward(
    grad_items: Tensor,
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    kept: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    keeps: bool,
    needs: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of rows, weight and bias, from the gradient (K,) of the losses."""
    options = LossOptions(ignore_index, label_smoothing, z_loss)
    return walk(rows, weight, bias, targets, options, grad_items, needs, kept if keeps else None, keeps)[1:]


def reduced_forward(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    mean: bool,
    needs: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The sum or mean of the losses, the losses (K,), and the first's gradients of rows, weight and bias.

    These have at least fp32: the incoming gradient may be a scale that saves 1/K of them from fp16's end.
    """
    options = LossOptions(ignore_index, label_smoothing, z_loss)
    share = torch.ones((), device=rows.device, dtype=torch.promote_types(rows.dtype, torch.float32))
    if mean:
        share = share / (targets != ignore_index).sum().clamp_min(1)
    shares = share.expand(rows.shape[0])
    walked = walk(rows, weight, bias, targets, options, shares, needs, widely=True)
    items, grad_rows, grad_weight, grad_bias = walked
    return items.sum() * share, items, grad_rows, grad_weight, grad_bias


def reduced_backward(
    grad: Tensor,
    grad_rows: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of the forward pass times the incoming one, in the inputs' dtype.

    Rows, weight and bias are arguments, though not needed, so that autograd refuses a second derivative.
    """
    scaled = [(x * grad).to(rows.dtype) for x in (grad_rows, grad_weight, grad_bias)]
    return scaled[0], scaled[1], scaled[2]


def torch_items(
    rows: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, options: LossOptions
) -> Tensor:
    """Losses (K,), 0 where ignored; arguments as in `walk`."""
    wanted = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (rows, weight, bias))
    # The number of chunks must not be fixed by compiling.
    keeps = wanted and is_eager(rows) and rows.shape[0] <= chunk_rows(rows.shape[0], weight.shape[0])
    items: Tensor = items_torch(rows, weight, bias, targets, *options.flat(), keeps)
    return items


def torch_reduced(
    rows: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, options: LossOptions, mean: bool
) -> tuple[Tensor, Tensor]:
    """The sum or mean of the losses, and the losses (K,), which have no gradient."""
    needs = [x is not None and torch.is_grad_enabled() and x.requires_grad for x in (rows, weight, bias)]
    loss, items = reduced_torch(rows, weight, bias, targets, *options.flat(), mean, needs)
    return loss, items


def chunk_rows(n_rows: int, n_vocabulary: int) -> int:
    """R, such that all chunks have about the same size."""
    most = min(max(CHUNK_ELEMENTS // n_vocabulary, FEWEST_ROWS), MOST_ROWS)
    n_chunks = max(-(-n_rows // most), 1)
    return max(-(-n_rows // n_chunks), 1)


def _save_reduced(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, items, *grads = output
    ctx.save_for_backward(*grads, *inputs[:3])
    ctx.mark_non_differentiable(items)
    ctx.needs = inputs[-1]


def _differentiate_reduced(
    backward: Any, ctx: Any, grad: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 9
    grads = ctx.saved_tensors[:3]
    # On a CPU reading the gradient costs nothing, and if it is 1 nothing has to be multiplied. A compiler's
    # tensor has no value to read.
    looks = type(grad) is Tensor and grad.device.type == "cpu" and not torch.compiler.is_compiling()
    dtype = ctx.saved_tensors[3].dtype
    if torch.is_grad_enabled() or not looks or grad != 1.0 or grads[0].dtype != dtype:
        grads = backward(grad, *ctx.saved_tensors)
    return *(x if needed else None for x, needed in zip(grads, ctx.needs, strict=True)), *[None] * 6


def _fake_items(rows: Tensor) -> Tensor:
    return rows.new_empty(rows.shape[0], dtype=torch.promote_types(rows.dtype, torch.float32))


def _fake_forward(rows: Tensor, weight: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    items = _fake_items(rows)
    return items, items.new_empty((rows.shape[0], weight.shape[0]) if rest[-1] else 0)


def _fake_reduced(rows: Tensor, weight: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    items = _fake_items(rows)
    wide = (x.to(items.dtype) for x in fake_grads(rows, weight, rest[-1]))
    return items.new_empty(()), items, *wide


items_torch = Operation(
    "linear_cross_entropy_torch",
    forward,
    backward,
    fake=_fake_forward,
    fake_backward=lambda grad, rows, weight, *rest: fake_grads(rows, weight, rest[-1]),
    differentiate=differentiate,
)
reduced_torch = Operation(
    "linear_cross_entropy_torch_reduced",
    reduced_forward,
    reduced_backward,
    fake=_fake_reduced,
    fake_backward=lambda grad, *saved: tuple(torch.empty_like(x, dtype=saved[3].dtype) for x in saved[:3]),
    save=_save_reduced,
    differentiate=_differentiate_reduced,
    visible=2,
)
