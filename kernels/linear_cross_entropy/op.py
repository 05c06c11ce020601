"""`linear_cross_entropy`: the one public function over every backend.

Shapes: T tokens, K selected tokens, C width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypedDict, Unpack, overload

import torch
from torch import Tensor

from ..backend import Backend
from ..operation import choose, full_precision, is_transformed
from .few_rows import are_few, composed, composed_unchecked
from .options import LossOptions
from .reference import reference_items
from .torch_backend import torch_items, torch_reduced

Reduction = Literal["mean", "sum", "none"]

_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class _Options(TypedDict, total=False):
    """Keyword arguments of `linear_cross_entropy`, but for `return_items`, which sets the return type."""

    bias: Tensor | None
    selected: Tensor | None
    ignore_index: int
    label_smoothing: float
    z_loss: float
    reduction: Reduction
    backend: Backend | None


@overload
def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    return_items: Literal[False] = False,
    **options: Unpack[_Options],
) -> Tensor: ...


@overload
def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    return_items: Literal[True],
    **options: Unpack[_Options],
) -> tuple[Tensor, Tensor]: ...


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    selected: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Reduction = "mean",
    return_items: bool = False,
    backend: Backend | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Cross-entropy of `hidden[selected] @ weight.T + bias` in nats, without all logits in memory.

    Softmax, sums and the sums of gradients have at least fp32, whatever the dtype. Under autocast the
    products have its dtype, as those of a linear layer. Nothing waits for the device, inputs and incoming
    gradients are never changed, and gradients have the same bits in every run.

    Args:
        hidden: (T, C), fp64, fp32, fp16 or bf16, any strides.
        weight: (V, C), of hidden's dtype.
        targets: (K,) int64, in [0, V) or `ignore_index`; K is T if nothing is selected. Checked on the CPU.
            On a GPU a check would wait for the device; there, on `triton`, a target out of range has loss
            NaN.
        bias: (V,), of hidden's dtype, or None.
        selected: (K,) int64 rows of `hidden`, in any order; None for all rows, in order.
        ignore_index: a row with this target has loss 0 and gradient 0, and does not count in a mean.
        label_smoothing: share of the target, in [0, 1], that is spread evenly over the vocabulary.
        z_loss: factor of the square of the log-sum-exp, added to each row's loss.
        reduction: `"mean"` over the rows that are not ignored, 0 if there is none (PyTorch gives NaN);
            `"sum"`; or `"none"`, (K,).
        return_items: also return the loss of each row, without a gradient.
        backend: `"triton"`: slices of the vocabulary between the library's products, for GPUs (or
            TRITON_INTERPRET=1). `"torch"`: chunks of rows in PyTorch's kernels, for the CPU; for few rows on
            a CPU, PyTorch's own loss. `"reference"`: the definition, all logits at once, differentiable any
            number of times. Left out: `"triton"` on a GPU where it can, otherwise `"torch"`.

    Returns:
        The loss, a scalar or (K,), in fp32, or fp64 for fp64 inputs; with `return_items` also the losses
        (K,).

    Raises:
        TypeError: a dtype does not fit.
        ValueError: shapes, targets or options do not fit.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    options = LossOptions(ignore_index, label_smoothing, z_loss)
    transformed = is_transformed(hidden, weight, bias)
    if selected is None and not return_items and (backend is None or backend == "torch") and not transformed:
        loss = composed_unchecked(hidden, weight, bias, targets, options, reduction)
        if loss is not None:
            return loss
    hidden, weight, bias = _as_autocast(hidden, weight, bias)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction: expected 'mean', 'sum' or 'none', got {reduction!r}")
    _check_tensors(hidden, weight, bias)
    _check_targets(hidden, weight, targets, selected, ignore_index)
    lack = "no float64" if hidden.dtype == torch.float64 else None
    chosen = choose(backend, hidden, lack, weight, bias)
    with full_precision(hidden):
        rows = hidden if selected is None else _select(hidden, selected)
        few = chosen == "torch" and are_few(rows, options)
        if chosen == "torch" and not few and reduction != "none":
            loss, items = torch_reduced(rows, weight, bias, targets, options, reduction == "mean")
            return (loss, items) if return_items else loss
        if few and reduction != "none" and not return_items:
            loss = composed(rows, weight, bias, targets, options, "sum")
        else:
            if few:
                items = composed(rows, weight, bias, targets, options, "none")
            else:
                items = _items_by(chosen)(rows, weight, bias, targets, options)
            loss = items if reduction == "none" else items.sum()
        if reduction == "mean":
            loss = loss / (targets != ignore_index).sum().clamp_min(1)
    return (loss, items.detach()) if return_items else loss


def _items_by(backend: Backend) -> Callable[[Tensor, Tensor, Tensor | None, Tensor, LossOptions], Tensor]:
    """The function of a backend that computes each row's loss."""
    if backend == "triton":
        from .triton_backend import triton_items  # triton exists only on some machines

        return triton_items
    return torch_items if backend == "torch" else reference_items


def _select(hidden: Tensor, selected: Tensor) -> Tensor:
    # A row that is selected twice gets a sum as its gradient. On a GPU indexing adds in a fixed order, and
    # index_select in any; on a CPU with several threads it is the other way round.
    return hidden.index_select(0, selected) if hidden.device.type == "cpu" else hidden[selected]


def _as_autocast(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """The operands in the dtype in which a linear layer would take them under autocast."""
    kind = hidden.device.type
    if not torch.is_autocast_enabled(kind) or hidden.dtype == torch.float64:
        return hidden, weight, bias
    dtype = torch.get_autocast_dtype(kind)
    return hidden.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def _check_tensors(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if hidden.dtype not in _DTYPES:
        raise TypeError(f"hidden: expected float64, float32, float16 or bfloat16, got {hidden.dtype}")
    if hidden.dim() != 2 or hidden.shape[1] == 0:
        raise ValueError(f"hidden: expected (tokens, width), got shape {tuple(hidden.shape)}")
    if weight.dim() != 2 or weight.shape[1] != hidden.shape[1] or weight.shape[0] == 0:
        raise ValueError(f"weight: expected (vocabulary, {hidden.shape[1]}), got shape {tuple(weight.shape)}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias: expected shape ({weight.shape[0]},), got {tuple(bias.shape)}")
    for name, x in (("weight", weight), ("bias", bias)):
        if x is not None and x.dtype != hidden.dtype:
            raise TypeError(f"{name}: expected hidden's dtype {hidden.dtype}, got {x.dtype}")
        if x is not None and x.device != hidden.device:
            raise ValueError(f"{name}: expected hidden's device {hidden.device}, got {x.device}")


def _check_targets(
    hidden: Tensor, weight: Tensor, targets: Tensor, selected: Tensor | None, ignore_index: int
) -> None:
    for name, x in (("targets", targets), ("selected", selected)):
        if x is not None and x.dtype != torch.int64:
            raise TypeError(f"{name}: expected int64, got {x.dtype}")
        if x is not None and x.dim() != 1:
            raise ValueError(f"{name}: expected one dimension, got shape {tuple(x.shape)}")
        if x is not None and x.device != hidden.device:
            raise ValueError(f"{name}: expected hidden's device {hidden.device}, got {x.device}")
    wanted = hidden if selected is None else selected
    if targets.shape[0] != wanted.shape[0]:
        whose = "hidden" if selected is None else "selected"
        raise ValueError(
            f"targets: expected {wanted.shape[0]}, one for each of {whose}, got {targets.shape[0]}"
        )
    if hidden.device.type != "cpu" or torch.compiler.is_compiling() or targets.numel() == 0:
        return  # looking at the values would wait for the device, or break the graph
    if is_transformed():
        return  # one value of each may stand for many
    least, greatest = targets.aminmax()
    if least.item() >= 0 and greatest.item() < weight.shape[0]:
        return  # the usual case, and quick to check; an ignored target may be out of this range
    wrong = (targets != ignore_index) & ((targets < 0) | (targets >= weight.shape[0]))
    if wrong.any():
        raise ValueError(
            f"targets: expected ids in [0, {weight.shape[0]}) or {ignore_index}, got {int(targets[wrong][0])}"
        )
