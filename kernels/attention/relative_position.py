"""Distances from queries to keys, which of them a mask allows, and the buckets of T5's position bias.

Shapes: M queries and N keys of one sequence, H heads, R buckets.

Query i of a sequence with M queries and N keys stands at key position i + N - M: the two are aligned at their
ends, as in FlashAttention, so that the last query of a decoder step is the newest key. The signed distance
from query i to key j is therefore `j - i - (N - M)`. Causal, window, ALiBi and T5 bias are all functions of
it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def distances(n_queries: int, n_keys: int, device: torch.device, shift: int | None = None) -> Tensor:
    """(M, N) int64: the signed distance from each query to each key.

    Args:
        n_queries: M.
        n_keys: N.
        device: where to put them.
        shift: the key position at which the first query stands; left out, N - M, which aligns the ends.
    """
    query = torch.arange(n_queries, device=device) + (n_keys - n_queries if shift is None else shift)
    return torch.arange(n_keys, device=device) - query[:, None]


def visible(distance: Tensor, causal: bool, half_window: int | None) -> Tensor:
    """Which distances a mask allows, bool: up to 0 if causal, up to `half_window` in either direction."""
    seen = torch.ones_like(distance, dtype=torch.bool)
    if causal:
        seen = seen & (distance <= 0)
    if half_window is not None:
        seen = seen & (distance.abs() <= half_window)
    return seen


def relative_buckets(
    distance: Tensor, n_buckets: int, max_distance: int, bidirectional: bool = True
) -> Tensor:
    """T5's buckets: one per near distance, then logarithmically wider ones (Raffel et al. 2020, section 2.1).

    Args:
        distance: key position minus query position, int64, any shape.
        n_buckets: rows R of the bias table; even if bidirectional.
        max_distance: distances from here on share the last bucket.
        bidirectional: half of the buckets are for keys ahead; otherwise all keys ahead have bucket 0.

    Returns:
        int64 bucket in [0, R), same shape.
    """
    size = n_buckets // 2 if bidirectional else n_buckets
    near = distance.abs() if bidirectional else (-distance).clamp(min=0)
    line = _one_sided_buckets(size, max_distance).to(distance.device)
    bucket = line[near.clamp(max=line.shape[0] - 1)]
    return torch.where(distance > 0, bucket + size, bucket) if bidirectional else bucket


def farthest_bucketed(max_distance: int) -> int:
    """A distance from which on all have the last bucket, whichever way logarithms round."""
    return max_distance + max_distance // 64 + 1


def _one_sided_buckets(size: int, max_distance: int) -> Tensor:
    """(F+1,) int64: the bucket of each distance from 0 to `farthest_bucketed`.

    Always computed on the CPU: where the logarithm of another device rounds otherwise, a distance on a
    boundary would change its bucket. In fp32, as in the published models, for the same reason.
    """
    distance = torch.arange(farthest_bucketed(max_distance) + 1)
    exact = size // 2
    ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    wide = (exact + (ratio * (size - exact)).to(torch.int64)).clamp(max=size - 1)
    return torch.where(distance < exact, distance, wide)
