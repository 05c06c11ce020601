"""The definition of statistics and rows: the whole matrix of weights, sequence by sequence, in plain PyTorch.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size; in one
sequence M queries and N keys; n chosen rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..options import AttentionOptions
from ..reference import reference_attention
from ..relative_position import distances


class Weights(NamedTuple):
    """The weights of one sequence.

    Attributes:
        queries: its rows of q.
        keys: its rows of k.
        weight: (H, M, N).
    """

    queries: slice
    keys: slice
    weight: Tensor


def reference_weights(
    q: Tensor,
    k: Tensor,
    anchor: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
) -> Iterator[Weights]:
    """All weights, sequence by sequence: what attention returns if its values are the identity matrix.

    Of the anchors only -inf matters: those rows have no weights.
    """
    starts = zip(pairwise(cu_seqlens_q.tolist()), pairwise(cu_seqlens_k.tolist()), strict=True)
    for (start_q, stop_q), (start_k, stop_k) in starts:
        queries, keys = slice(start_q, stop_q), slice(start_k, stop_k)
        n_keys = stop_k - start_k
        identity = torch.eye(n_keys, dtype=q.dtype, device=q.device)[:, None].expand(-1, k.shape[1], -1)
        starts_q, starts_k = torch.tensor([0, stop_q - start_q]), torch.tensor([0, n_keys])
        weight, _ = reference_attention(q[queries], k[keys], identity, starts_q, starts_k, options)
        weight = weight.to(anchor.dtype).masked_fill(anchor[queries].isneginf()[..., None], 0.0)
        yield Weights(queries, keys, weight.transpose(0, 1))


def reference_statistics(
    q: Tensor,
    k: Tensor,
    anchor: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
    marked: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The definition. Arguments as in `attention_statistics`, already checked.

    Returns:
        entropy, largest, distance and marked mass (T, H), and received (S, H), in anchor's dtype.
    """
    entropy, largest, distance, marked_mass = (torch.zeros_like(anchor) for _ in range(4))
    received = anchor.new_zeros(k.shape[0], q.shape[1])
    for queries, keys, weight in reference_weights(q, k, anchor, cu_seqlens_q, cu_seqlens_k, options):
        if weight.numel() == 0:
            continue
        total = weight.sum(-1, keepdim=True)
        share = weight / torch.where(total == 0, 1.0, total)
        apart = distances(weight.shape[1], weight.shape[2], q.device).abs()
        entropy[queries] = -torch.xlogy(share, share).sum(-1).T
        largest[queries] = weight.amax(-1).T
        distance[queries] = (share * apart).sum(-1).T
        if marked is not None:
            marked_mass[queries] = (weight * marked[keys]).sum(-1).T
        received[keys] = weight.sum(1).T
    return entropy, largest, distance, marked_mass, received


def reference_rows(
    q: Tensor,
    k: Tensor,
    anchor: Tensor,
    rows: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
    max_length_k: int,
) -> Tensor:
    """The definition. Arguments as in `attention_rows`, already checked.

    Returns:
        (n, H, max_length_k) in anchor's dtype.
    """
    found = anchor.new_zeros(rows.shape[0], q.shape[1], max_length_k)
    for queries, _, weight in reference_weights(q, k, anchor, cu_seqlens_q, cu_seqlens_k, options):
        here = ((rows >= queries.start) & (rows < queries.stop)).nonzero()[:, 0]
        found[here, :, : weight.shape[2]] = weight[:, rows[here] - queries.start].transpose(0, 1)
    return found
