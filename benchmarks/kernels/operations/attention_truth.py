"""Attention by its formula in fp64, and in plain PyTorch without padding, in blocks that fit into memory.

Shapes: T tokens, H heads, D head size, L length of one sequence, b sequences of that length, X = b·H, R rows
of the bias table.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from xformer.kernels.attention.relative_position import distances, relative_buckets, visible

from ..operation import Inputs
from .attention_cases import T5_BUCKETS, T5_MAX_DISTANCE, AttentionCase

# Number of weights computed at a time: 1 GiB in fp64, so that sequences of 16k tokens fit.
LARGEST_BLOCK = 2**27


class Block:
    """Sequences of one length, with a matrix for each head of each sequence: (X, L, D).

    Attributes:
        rows: of the packed tensors.
        heads: (X,) the head that each matrix belongs to.
        hidden: (L, L) bool, true where a key is not visible; None if all are.
        bucket: (L, L) row of the bias table; None without one.
    """

    def __init__(self, case: AttentionCase, rows: slice, length: int, device: torch.device) -> None:
        self.rows, self.length = rows, length
        n_sequences = (rows.stop - rows.start) // length
        self.heads = torch.arange(case.n_heads, device=device).repeat(n_sequences)
        distance = distances(length, length, device)
        masked = case.causal or case.window is not None
        self.hidden = ~visible(distance, case.causal, case.half_window) if masked else None
        self.bucket = bucket_of(case, distance) if case.bias else None

    def take(self, x: Tensor) -> Tensor:
        """(T, H, D) → (X, L, D)."""
        return x[self.rows].unflatten(0, (-1, self.length)).transpose(1, 2).flatten(0, 1)

    def put(self, x: Tensor, n_heads: int) -> Tensor:
        """(X, L, D) → (b·L, H, D), and (X, L) → (b·L, H)."""
        return x.unflatten(0, (-1, n_heads)).transpose(1, 2).flatten(0, 1)

    def parts(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Parts of packed tensors, (x, L, D) each, whose weights fit into memory, and their heads (x,)."""
        size = max(1, LARGEST_BLOCK // self.length**2)
        return zip(*(self.take(x).split(size) for x in tensors), self.heads.split(size), strict=True)

    def bias(self, table: Tensor, heads: Tensor, dtype: torch.dtype) -> Tensor:
        """The bias (X, L, L) of the scores, from the table (R, H)."""
        assert self.bucket is not None
        rows = functional.embedding(self.bucket, table)
        return rows[..., heads].permute(2, 0, 1).to(dtype)

    def scores(self, q: Tensor, k: Tensor, table: Tensor | None, heads: Tensor) -> Tensor:
        """(X, L, L), -inf where hidden."""
        score = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
        if table is not None:
            score = score + self.bias(table, heads, score.dtype)
        return score if self.hidden is None else score.masked_fill(self.hidden, float("-inf"))


def bucket_of(case: AttentionCase, distance: Tensor) -> Tensor:
    """The rows of the case's bias table for distances of any shape."""
    return relative_buckets(distance, T5_BUCKETS, T5_MAX_DISTANCE, not case.causal)


Compute = Callable[[Block, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor], list[Tensor]]


def by_hand(case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
    """Results and gradients in the inputs' dtype, the gradients by their equations."""
    return _by_block(case, inputs, _by_hand)


def by_autograd(case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
    """Results and gradients in the inputs' dtype, the gradients by autograd."""
    return _by_block(case, inputs, _by_autograd)


def blocks(case: AttentionCase, device: torch.device) -> Iterator[Block]:
    """Runs of sequences of equal length."""
    start = 0
    for length, run in itertools.groupby(case.lengths):
        n_tokens = length * sum(1 for _ in run)
        yield Block(case, slice(start, start + n_tokens), length, device)
        start += n_tokens


def _by_block(case: AttentionCase, inputs: Inputs, compute: Compute) -> dict[str, Tensor]:
    """Results and gradients, computed for runs of equal lengths in blocks that fit into memory."""
    q, k, v = (inputs.leaves[name] for name in "qkv")
    table = inputs.leaves.get("bias_table")
    names = ("out", "dq", "dk", "dv")
    found = {name: torch.empty_like(q) for name in names}
    if table is not None:
        found["dbias_table"] = torch.zeros_like(table)
    for block in blocks(case, q.device):
        pieces: list[list[Tensor]] = []
        for query, key, value, grad, heads in block.parts(q, k, v, inputs.grads["out"]):
            piece = compute(block, query, key, value, grad, table, heads)
            if table is not None:
                found["dbias_table"] += piece.pop()
            pieces.append(piece)
        for name, several in zip(names, zip(*pieces, strict=True), strict=True):
            found[name][block.rows] = block.put(torch.cat(several), case.n_heads)
    return found


def _by_hand(
    block: Block, q: Tensor, k: Tensor, v: Tensor, grad: Tensor, table: Tensor | None, heads: Tensor
) -> list[Tensor]:
    """Attention and its gradients over (X, L, D), by the formula."""
    scale = 1 / math.sqrt(q.shape[-1])
    weight = torch.softmax(block.scores(q, k, table, heads), dim=-1)
    out = weight @ v
    grad_value = weight.transpose(1, 2) @ grad
    grad_score = weight * (grad @ v.transpose(1, 2) - (grad * out).sum(-1, keepdim=True))
    found = [out, grad_score @ k * scale, grad_score.transpose(1, 2) @ q * scale, grad_value]
    if table is not None:
        assert block.bucket is not None
        # As a product: on a GPU, millions of atomic additions to a few buckets would be slow.
        chosen = functional.one_hot(block.bucket.flatten(), len(table)).to(q.dtype)
        by_bucket = grad_score.flatten(1) @ chosen
        found.append(torch.zeros_like(table).index_add_(1, heads, by_bucket.T.to(table.dtype)))
    return found


def _by_autograd(
    block: Block, q: Tensor, k: Tensor, v: Tensor, grad: Tensor, table: Tensor | None, heads: Tensor
) -> list[Tensor]:
    """Attention over (X, L, D) in plain PyTorch, and its gradients by autograd."""
    leaves = [x.detach().requires_grad_() for x in (q, k, v, *(() if table is None else (table,)))]
    given = None if table is None else leaves[3]
    out = torch.softmax(block.scores(leaves[0], leaves[1], given, heads), dim=-1) @ leaves[2]
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]
