"""Faster implementations for the CPU, with the same results. Other devices use the plain ones.

- `rotary_qkv`: columns of queries and keys that are rotated as a pair are neighbours, so that the rotation is
  a product of complex numbers.
- `EmbeddingTable`: a step uses some thousand rows of a vocabulary, but PyTorch's gradient has all rows. To
  fill 32 MiB with zeros, twice, and to add them takes as long as a block of a small model.
- `feed_forward_rows`, `gelu`: without a gradient, a feed-forward takes some rows at a time, and the
  activation is written over what it is of. Its hidden activations are four times as wide as the stream: those
  of a whole batch lie outside the caches, in new memory whose pages the system fills with zeros.
- `rows_to_add`: oneDNN computes products in half precision and compiles a kernel for each new shape: about
  20 ms, for a product of 1 ms. Nearly each batch of whole texts has another number of tokens, so batches are
  padded to a multiple of `ROW_MULTIPLE`.
- `weighted_mean`: autograd's version takes twice as long, most of it for page faults of new memory.
- `segment_sum`: 1.1 ms forward and backward at T=8192, B=600, C=256 on one core; segment_reduce takes 4.9.

Shapes: T tokens, B sequences, C d_model, H heads, D head size, V rows of a table, U rows that were used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from xformer.kernels import rotary
from xformer.kernels.operation import is_transformed
from xformer.model.int8_linear import Int8Linear
from xformer.model.packed import Packed

ROW_MULTIPLE = 128
"""`rows_to_add` pads to a multiple of this number of rows."""

FEED_FORWARD_ROWS = 512
"""Rows of a feed-forward at a time: 3 MiB of hidden activations where they are 1,536 wide. A product of fewer
rows is slower (docs/log/encoding.md)."""


def feed_forward_rows(x: Tensor) -> Sequence[Tensor]:
    """The rows (T, C) that a feed-forward computes at a time: some, or all where that is no gain."""
    if torch.compiler.is_compiling():  # one graph for any number of rows
        return (x,)
    if x.device.type != "cpu" or torch.is_grad_enabled() or len(x) <= FEED_FORWARD_ROWS:
        return (x,)
    return x.split(FEED_FORWARD_ROWS)


def gelu(x: Tensor, approximate: str) -> Tensor:
    """GELU (Hendrycks and Gimpel 2016) of what nobody else reads: without a gradient, in place."""
    if torch.is_grad_enabled():
        return F.gelu(x, approximate=approximate)
    out: Tensor = torch.ops.aten.gelu_(x, approximate=approximate)
    return out


def rotary_qkv(
    x: Tensor, projection: nn.Linear | Int8Linear, n_heads: int, positions: Tensor, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Project to queries, keys and values (T, H, D), and rotate queries and keys by their positions.

    On a CPU the columns of queries and keys are reordered alike, pairs side by side, so that their products
    stay what they are. The weights are reordered, which costs little beside reordering tokens; but where a
    projection is more than its weight (hooks, parametrizations, LoRA), it is called and tokens are reordered.

    Args:
        x: (T, C).
        projection: to (T, 3·H·D); pairs are `(j, j + D/2)`, as in GPT-NeoX and ModernBERT. That of
            `int8.quantise` is in the new order already.
        n_heads: H.
        positions: (T,) int64.
        cos: (N, D/2) of `positions.rotary_table`.
        sin: (N, D/2).
    """
    paired = rotates_neighbours(x, (cos, sin))
    fast = paired and is_plain(projection, nn.Linear)
    if fast:
        assert isinstance(projection, nn.Linear)
        bias = None if projection.bias is None else interleave_halves(projection.bias, n_heads)
        qkv = F.linear(x, interleave_halves(projection.weight, n_heads), bias)
    else:
        qkv = projection(x)
    q, k, v = qkv.view(x.shape[0], 3, n_heads, 2 * cos.shape[1]).unbind(1)
    if paired and not fast and not isinstance(projection, Int8Linear):
        q, k = neighbours(q), neighbours(k)
    return *rotary(q, k, positions, cos, sin, interleaved=paired), v


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether calling a module does what its class does, and nothing else: no subclass, no wrapper, no hooks.

    Only then may its weight be used in its place.
    """
    hooks = module._forward_hooks or module._forward_pre_hooks
    return type(module) is kind and not (hooks or module._backward_hooks or module._backward_pre_hooks)


def rotates_neighbours(x: Tensor, rotary: tuple[Tensor, Tensor] | None) -> bool:
    """Whether `rotary_qkv` reorders the columns of queries and keys where x lies.

    Args:
        x: any tensor of the pass.
        rotary: cosines and sines; None where positions are not rotary.
    """
    return rotary is not None and x.device.type == "cpu"


def halves(x: Tensor) -> Tensor:
    """Queries or keys (T, H, D) with neighbouring pairs to the checkpoint's order, pairs `(j, j + D/2)`."""
    return x.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)


def neighbours(x: Tensor) -> Tensor:
    """The inverse of `halves`."""
    return x.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)


def interleave_halves(qkv: Tensor, n_heads: int) -> Tensor:
    """Reorder a packed projection so that the pairs `(j, j + D/2)` of each query and key become neighbours.

    Args:
        qkv: (3·H·D, …) weight or bias of the query, key and value projection.
        n_heads: H.

    Returns:
        The same shape; the rows of values keep their order.
    """
    # Views and one cat, because the gradient of an index_select is a slow scatter on the CPU.
    q, k, v = qkv.view(3, n_heads, 2, -1, *qkv.shape[1:]).unbind(0)
    rows = (part.flatten(0, 2) for part in (q.transpose(1, 2), k.transpose(1, 2), v))
    return torch.cat(tuple(rows))


@dataclass(frozen=True)
class RowGradient:
    """The gradient of an embedding table of which few rows were used.

    Attributes:
        rows: (U,) int64, ascending.
        values: (U, C).
    """

    rows: Tensor
    values: Tensor


class EmbeddingTable(nn.Module):
    """An embedding whose gradient may be kept as that of the rows in use.

    Attributes:
        weight: (V, C), zero at first.
        blank: number of a row that stays zero and has no gradient; None if there is none.
        sparse: write the gradients of lookups to `row_gradients` instead of `weight.grad`, for an optimizer
            that reads them there. The number of rows in use is needed on the host, so a GPU would have to
            be waited for.
        row_gradients: one for each backward pass of a lookup since they were last cleared.
    """

    def __init__(self, rows: int, width: int, blank: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, width))
        self.blank = blank
        self.sparse = False
        self.row_gradients: list[RowGradient] = []

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (T,) int64, by number, to (T, C)."""
        if self.sparse and torch.is_grad_enabled() and not is_transformed(self.weight):
            found: Tensor = _Lookup.apply(self.weight, rows, self.blank, self.row_gradients)
            return found
        return F.embedding(rows, self.weight, padding_idx=self.blank)

    def row_gradient(self) -> RowGradient | None:
        """The sum of the gradients of all lookups; None where there were none, or `weight.grad` has all."""
        if self.row_gradients and self.weight.grad is not None:
            for one in self.row_gradients:
                self.weight.grad.index_add_(0, one.rows, one.values)
            self.row_gradients.clear()
        if len(self.row_gradients) > 1:
            every = torch.cat([one.rows for one in self.row_gradients])
            values = torch.cat([one.values for one in self.row_gradients])
            self.row_gradients[:] = [_sum_of_rows(every, values)]
        return self.row_gradients[0] if self.row_gradients else None


class _Lookup(torch.autograd.Function):
    """Look up rows by number; the backward pass adds up the gradients of each row that was used."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, blank: int | None, found: list[RowGradient]) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.blank, ctx.found = blank, found
        return table.index_select(0, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None, None]:
        (rows,) = ctx.saved_tensors
        total = _sum_of_rows(rows, grad)
        if ctx.blank is not None:
            real = total.rows != ctx.blank
            total = RowGradient(total.rows[real], total.values[real])
        ctx.found.append(total)
        return None, None, None, None


def _sum_of_rows(rows: Tensor, values: Tensor) -> RowGradient:
    used, place = torch.unique(rows, return_inverse=True)
    return RowGradient(used, values.new_zeros(len(used), values.shape[1]).index_add_(0, place, values))


def rows_to_add(n_rows: int, device: torch.device) -> int:
    """How many rows bring `n_rows` to a multiple of `ROW_MULTIPLE`; 0 where that saves nothing.

    Args:
        n_rows: of a matrix that is to be multiplied under the present autocast.
        device: where.
    """
    return -n_rows % ROW_MULTIPLE if device.type == "cpu" and torch.is_autocast_enabled("cpu") else 0


def weighted_mean(hidden: Tensor, weight: Tensor, batch: Packed) -> Tensor:
    """The mean over each sequence with weights softmax(h·w): (T, C) and (C,) to (B, C); zero where empty."""
    sequence = batch.sequence_ids()
    if is_transformed(hidden, weight):
        return _weighted(hidden, weight, batch, sequence)[0]
    pooled: Tensor = _WeightedMean.apply(hidden, weight, batch, sequence)
    return pooled


def segment_sum(x: Tensor, batch: Packed, sequence: Tensor) -> Tensor:
    """Add up the rows of each sequence: (T, C) to (B, C); nothing adds up to zero.

    Args:
        x: (T, C).
        batch: the layout.
        sequence: (T,) `batch.sequence_ids()`.
    """
    if x.device.type == "cpu":
        return x.new_zeros(batch.n_sequences, x.shape[1]).index_add(0, sequence, x)
    # index_add on a GPU adds in any order, so its sums would differ from run to run.
    lengths = torch.tensor(batch.lengths, device=x.device)
    return torch.segment_reduce(x, "sum", lengths=lengths, axis=0, unsafe=True, initial=0)


def _weighted(hidden: Tensor, weight: Tensor, batch: Packed, sequence: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted means (B, C), and each token's share of its sequence's (T,)."""
    scores = hidden @ weight
    peaks = scores.new_full((batch.n_sequences,), -torch.inf)
    peaks = peaks.scatter_reduce(0, sequence, scores.detach(), "amax")  # any value gives the same shares
    share = (scores - peaks[sequence]).exp()
    share = share / segment_sum(share[:, None], batch, sequence)[:, 0][sequence]
    return segment_sum(hidden * share[:, None], batch, sequence), share


class _WeightedMean(torch.autograd.Function):
    """The derivative, written out.

    In a sequence b, shares are `a_t = softmax(h_t·w)` and the result is `p_b = Σ a_t h_t`. Where g_b is the
    gradient of p_b, that of the score is `s_t = a_t g_b·(h_t - p_b)`, of h_t `a_t g_b + s_t w`, and of w
    `Σ s_t h_t`.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, batch: Packed, sequence: Tensor) -> Tensor:
        pooled, share = _weighted(hidden, weight, batch, sequence)
        ctx.save_for_backward(hidden, weight, sequence, share, pooled)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden, weight, sequence, share, pooled = ctx.saved_tensors
        rows = grad.index_select(0, sequence)
        slope = share * (torch.linalg.vecdot(rows, hidden) - torch.linalg.vecdot(grad, pooled)[sequence])
        return rows.mul_(share[:, None]).addr_(slope, weight), slope @ hidden, None, None
