"""A packed batch as dense blocks, each of sequences of equal lengths.

Shapes: T query tokens, S key tokens, B sequences; a stack is b neighbouring sequences of M queries and N keys
each.

Sequences arrive longest first, so equal lengths are neighbours, and a stack of them is a dense (b, M, …) view
of the packed tensor: nothing is copied, padded or masked. A batch in another order is sorted first, and its
result brought back into order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

import torch
from torch import Tensor


class Stack(NamedTuple):
    """b neighbouring sequences of equal lengths: queries from `start_q` on, keys from `start_k` on."""

    start_q: int
    start_k: int
    size: int
    n_queries: int
    n_keys: int

    def queries(self, packed: Tensor) -> Tensor:
        """(b, M, …) view of a tensor packed as the queries are."""
        return _stacked(packed, self.start_q, self.size, self.n_queries)

    def keys(self, packed: Tensor) -> Tensor:
        """(b, N, …) view of a tensor packed as the keys are."""
        return _stacked(packed, self.start_k, self.size, self.n_keys)


class Side(NamedTuple):
    """The queries of a batch, or its keys.

    Attributes:
        places: for each stack its first token, its number of sequences and their length.
        rows: (T,) the rows that bring tokens into the stacks' order; None where they are in order already.
        covered: whether every token is in a stack.
    """

    places: list[tuple[int, int, int]]
    rows: Tensor | None
    covered: bool

    def sort(self, packed: Tensor) -> Tensor:
        """Bring a (T, …) tensor into the stacks' order."""
        return packed if self.rows is None else packed.index_select(0, self.rows)

    def unsort(self, packed: Tensor) -> Tensor:
        """Undo `sort`."""
        return packed if self.rows is None else torch.empty_like(packed).index_copy_(0, self.rows, packed)

    def blocks(self, packed: Tensor) -> list[Tensor]:
        """For each stack a (b, H, M, …) view of a sorted tensor (T, H, …)."""
        # A batch of short texts has dozens of stacks: what takes a microsecond is done once, not for each.
        token, head, *rest = packed.stride()
        first, n_heads, tail = packed.storage_offset(), packed.shape[1], packed.shape[2:]
        return [
            packed.as_strided(
                (size, n_heads, length, *tail), (length * token, head, token, *rest), first + start * token
            )
            for start, size, length in self.places
        ]

    def join(self, blocks: Sequence[Tensor], like: Tensor, elsewhere: float = 0.0) -> Tensor:
        """The (T, H, …) tensor of the stacks' blocks (b, H, M, …), in the blocks' dtype.

        Args:
            blocks: one for each stack.
            like: (T, H, …), of the result's shape.
            elsewhere: the value of tokens that are in no stack.
        """
        parts = [block.transpose(1, 2).flatten(0, 1) for block in blocks]
        if self.covered and parts:
            return torch.cat(parts) if len(parts) > 1 else parts[0].contiguous()
        out = like.new_full(like.shape, elsewhere, dtype=parts[0].dtype if parts else None)
        for (start, _, _), part in zip(self.places, parts, strict=True):
            out.narrow(0, start, len(part)).copy_(part)
        return out


class Layout(NamedTuple):
    """A batch as stacks. Every sequence that has both queries and keys is in one of them."""

    stacks: list[Stack]
    queries: Side
    keys: Side


def layout(cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, may_reorder: bool) -> Layout:
    """Group a batch into stacks of equal lengths.

    Args:
        cu_seqlens_q: (B+1,) where each sequence's queries begin; read on the host.
        cu_seqlens_k: (B+1,) where its keys begin.
        may_reorder: sort the sequences where that makes fewer stacks.
    """
    starts_q, starts_k = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
    pairs = list(zip(_lengths(starts_q), _lengths(starts_k), strict=True))
    stacks = _stacks(pairs)
    rows_q = rows_k = None
    if may_reorder and len(stacks) > len({stack[3:] for stack in stacks}):
        order = sorted(range(len(pairs)), key=pairs.__getitem__, reverse=True)
        stacks = _stacks(pairs[b] for b in order)
        rows_q = _rows(starts_q, order).to(cu_seqlens_q.device)
        rows_k = rows_q if starts_k == starts_q else _rows(starts_k, order).to(cu_seqlens_k.device)
    queries = [(stack.start_q, stack.size, stack.n_queries) for stack in stacks]
    keys = [(stack.start_k, stack.size, stack.n_keys) for stack in stacks]
    return Layout(
        stacks,
        Side(queries, rows_q, all(n_keys or not n_queries for n_queries, n_keys in pairs)),
        Side(keys, rows_k, all(n_queries or not n_keys for n_queries, n_keys in pairs)),
    )


def _stacked(packed: Tensor, start: int, size: int, length: int) -> Tensor:
    return packed.narrow(0, start, size * length).unflatten(0, (size, length))


def _stacks(pairs: Iterable[tuple[int, int]]) -> list[Stack]:
    """Group neighbours of equal (M, N); a sequence without queries or without keys is left out."""
    found, start_q, start_k = [], 0, 0
    for (n_queries, n_keys), same in groupby(pairs):
        size = sum(1 for _ in same)
        if n_queries and n_keys:
            found.append(Stack(start_q, start_k, size, n_queries, n_keys))
        start_q += size * n_queries
        start_k += size * n_keys
    return found


def _lengths(starts: list[int]) -> list[int]:
    return [stop - start for start, stop in pairwise(starts)]


def _rows(starts: list[int], order: list[int]) -> Tensor:
    """(T,) int64: the packed row of each token when sequence `order[i]` comes i-th."""
    first = torch.tensor([starts[b] for b in order])
    size = torch.tensor([starts[b + 1] - starts[b] for b in order])
    shift = first - torch.tensor([0, *accumulate(size.tolist())][:-1])
    return torch.arange(starts[-1]) + shift.repeat_interleave(size)
