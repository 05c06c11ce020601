"""Cutting a packed batch into dense blocks.

Shapes: T query tokens, S key tokens, B sequences; a run is b neighbouring sequences of M queries and N keys
    each.

Sequences arrive longest first, so equal lengths are neighbours and a run of them is a dense (b, M, …) view of
the packed tensor: nothing is copied, padded or masked. A batch in another order is sorted first, and its
result put back.
"""

from __future__ import annotations

from collections.abc import Iterable
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
