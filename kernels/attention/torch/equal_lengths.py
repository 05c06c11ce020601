"""Cutting a packed batch into dense blocks.

Shapes: T query tokens, S key tokens, B sequences; a run is b neighbouring sequences of M queries and N keys
    each.

Sequences arrive longest first, so equal lengths are neighbours and a run of them is a dense (b, M, …) view of
the packed tensor: nothing is copied, padded or masked. A batch in another order is sorted first, and its
result put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

import torch
from torch import Tensor


class Run(NamedTuple):
    """b neighbouring sequences of equal lengths: queries from `start_q` on, keys from `start_k` on."""

    start_q: int
    start_k: int
    size: int
    n_queries: int
    n_keys: int

    def queries(self, packed: Tensor) -> Tensor:
        """(b, M, …) view of a tensor packed as the queries are."""
        return packed.narrow(0, self.start_q, self.size * self.n_queries).unflatten(
            0, (self.size, self.n_queries)
        )

    def keys(self, packed: Tensor) -> Tensor:
        """(b, N, …) view of a tensor packed as the keys are."""
        return packed.narrow(0, self.start_k, self.size * self.n_keys).unflatten(0, (self.size, self.n_keys))


class Layout(NamedTuple):
    """One batch's runs.

    Attributes:
        runs: every sequence that has both queries and keys is in one of them.
        rows_q: (T,) the rows that bring queries into the runs' order; None where they are in order already.
        rows_k: (S,) the same for keys.
        covers_q: whether every query is in a run.
        covers_k: whether every key is.
    """

    runs: list[Run]
    rows_q: Tensor | None
    rows_k: Tensor | None
    covers_q: bool
    covers_k: bool

    def sort_queries(self, packed: Tensor) -> Tensor:
        """Bring a (T, …) tensor into the runs' order."""
        return packed if self.rows_q is None else packed.index_select(0, self.rows_q)

    def sort_keys(self, packed: Tensor) -> Tensor:
        """Bring a (S, …) tensor into the runs' order."""
        return packed if self.rows_k is None else packed.index_select(0, self.rows_k)

    def query_blocks(self, packed: Tensor) -> list[Tensor]:
        """For each run a (b, H, M, …) view of a tensor (T, H, …)."""
        return _blocks(packed, [(run.start_q, run.size, run.n_queries) for run in self.runs])

    def key_blocks(self, packed: Tensor) -> list[Tensor]:
        """For each run a (b, G, N, …) view of a tensor (S, G, …)."""
        return _blocks(packed, [(run.start_k, run.size, run.n_keys) for run in self.runs])

    def join_queries(self, blocks: Sequence[Tensor], like: Tensor, elsewhere: float = 0.0) -> Tensor:
        """The (T, H, …) tensor of the runs' blocks (b, H, M, …), in the blocks' dtype.

        Args:
            blocks: one a run.
            like: (T, H, …), of the result's shape.
            elsewhere: what stands where no run is.
        """
        return _joined(blocks, [run.start_q for run in self.runs], like, self.covers_q, elsewhere)

    def join_keys(self, blocks: Sequence[Tensor], like: Tensor) -> Tensor:
        """The same of keys: (S, G, …) of blocks (b, G, N, …), and zero where no run is."""
        return _joined(blocks, [run.start_k for run in self.runs], like, self.covers_k, 0.0)

    def unsort_queries(self, packed: Tensor) -> Tensor:
        """Undo `sort_queries`."""
        return packed if self.rows_q is None else torch.empty_like(packed).index_copy_(0, self.rows_q, packed)

    def unsort_keys(self, packed: Tensor) -> Tensor:
        """Undo `sort_keys`."""
        return packed if self.rows_k is None else torch.empty_like(packed).index_copy_(0, self.rows_k, packed)


def layout(cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, may_reorder: bool) -> Layout:
    """Cut a batch into runs of equal lengths.

    Args:
        cu_seqlens_q: (B+1,) where each sequence's queries begin; read on the host.
        cu_seqlens_k: (B+1,) where its keys begin.
        may_reorder: sort the sequences where that makes fewer runs.

    Returns:
        Runs that cover every sequence which has both queries and keys.
    """
    starts_q, starts_k = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
    pairs = list(zip(_lengths(starts_q), _lengths(starts_k), strict=True))
    covers_q = all(n_keys or not n_queries for n_queries, n_keys in pairs)
    covers_k = all(n_queries or not n_keys for n_queries, n_keys in pairs)
    found = _runs(pairs)
    if not may_reorder or len(found) == len({run[3:] for run in found}):
        return Layout(found, None, None, covers_q, covers_k)
    order = sorted(range(len(pairs)), key=pairs.__getitem__, reverse=True)
    rows_q = _rows(starts_q, order).to(cu_seqlens_q.device)
    rows_k = rows_q if starts_k == starts_q else _rows(starts_k, order).to(cu_seqlens_k.device)
    return Layout(_runs(pairs[b] for b in order), rows_q, rows_k, covers_q, covers_k)


def _blocks(packed: Tensor, places: Sequence[tuple[int, int, int]]) -> list[Tensor]:
    # A batch of short texts has dozens of runs: what takes a microsecond is done once, not for each.
    token, head, *rest = packed.stride()
    first, n_heads, tail = packed.storage_offset(), packed.shape[1], packed.shape[2:]
    return [
        packed.as_strided(
            (size, n_heads, length, *tail), (length * token, head, token, *rest), first + start * token
        )
        for start, size, length in places
    ]


def _joined(
    blocks: Sequence[Tensor], starts: Sequence[int], like: Tensor, covered: bool, elsewhere: float
) -> Tensor:
    parts = [block.transpose(1, 2).flatten(0, 1) for block in blocks]
    if covered and parts:
        return torch.cat(parts) if len(parts) > 1 else parts[0].contiguous()
    out = like.new_full(like.shape, elsewhere, dtype=parts[0].dtype if parts else None)
    for start, part in zip(starts, parts, strict=True):
        out.narrow(0, start, len(part)).copy_(part)
    return out


def _runs(pairs: Iterable[tuple[int, int]]) -> list[Run]:
    """Group neighbours of equal (M, N); a sequence without queries or without keys is left out."""
    found, start_q, start_k = [], 0, 0
    for (n_queries, n_keys), same in groupby(pairs):
        size = sum(1 for _ in same)
        if n_queries and n_keys:
            found.append(Run(start_q, start_k, size, n_queries, n_keys))
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
