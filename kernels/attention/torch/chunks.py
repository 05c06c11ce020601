"""Attention over a long dense block in chunks: no whole matrix of scores, nothing that a window hides.

Shapes: b sequences of M queries and N keys each, H heads, D head size, R rows of the bias table.

A chunk has some of a block's queries, and the keys that they may attend to. Short blocks are one chunk.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..options import AttentionOptions
from .dense import Place, dense_backward, dense_forward, is_fusable, n_masks

CHUNK_SCORES = 2**22
"""Largest number of scores in a chunk: 16 MiB in fp32."""
LEAST_QUERIES = 64
"""Least number of queries in a chunk: matrix products are slow with fewer rows."""


class Chunk(NamedTuple):
    """Some queries of a block, and all the keys that they may attend to.

    Attributes:
        queries: which of the block's.
        keys: which of the block's.
        place: where they stand.
    """

    queries: slice
    keys: slice
    place: Place


def block_forward(
    query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions, first_token: int
) -> tuple[Tensor, Tensor]:
    """Attention of b sequences at once, as `dense_forward`.

    `first_token` is the index of the block's first query in the packed batch, for the dropout mask.
    """
    cut = chunks(query, key, options, first_token, may_fuse=True)
    if len(cut) == 1:
        return dense_forward(query, key, value, options, cut[0].place)
    outs, lses = [], []
    for queries, keys, place in cut:
        out, lse = dense_forward(query[:, :, queries], key[:, :, keys], value[:, :, keys], options, place)
        outs.append(out)
        lses.append(lse)
    return torch.cat(outs, dim=2), torch.cat(lses, dim=2)


def block_backward(
    grad_out: Tensor,
    grad_lse: Tensor | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    options: AttentionOptions,
    first_token: int,
    grad_table: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `block_forward`; arguments as in `dense_backward`, and `first_token` as there.

    Returns:
        Gradients of query, key and value, in their layout.
    """
    cut = chunks(query, key, options, first_token, may_fuse=grad_table is None and grad_lse is None)
    if len(cut) == 1:
        place = cut[0].place
        return dense_backward(grad_out, grad_lse, query, key, value, out, lse, options, place, grad_table)
    grad_queries, grad_key, grad_value = [], torch.zeros_like(key), torch.zeros_like(value)
    for queries, keys, place in cut:
        grads = dense_backward(
            grad_out[:, :, queries], None if grad_lse is None else grad_lse[:, :, queries],
            query[:, :, queries], key[:, :, keys], value[:, :, keys], out[:, :, queries], lse[:, :, queries],
            options, place, grad_table,
        )  # fmt: skip
        grad_queries.append(grads[0])
        grad_key[:, :, keys] += grads[1]
        grad_value[:, :, keys] += grads[2]
    return torch.cat(grad_queries, dim=2), grad_key, grad_value


def chunks(
    query: Tensor, key: Tensor, options: AttentionOptions, first_token: int, may_fuse: bool
) -> list[Chunk]:
    """Cut a block into chunks.

    Args:
        query: (b, H, M, D).
        key: (b, H, N, D).
        options: what shapes the scores.
        first_token: index of the block's first query in the packed batch.
        may_fuse: whether PyTorch's fused kernel computes all that is wanted, where it can do the options. It
            has a mask in memory, but no scores.
    """
    size, n_heads, n_queries, _ = query.shape
    n_keys = key.shape[2]
    shift, rows = n_keys - n_queries, n_queries
    if n_queries > LEAST_QUERIES:
        fused = may_fuse and is_fusable(options, shift, query.device)
        matrices = n_masks(options, n_heads, n_queries, n_keys) if fused else size * n_heads
        if options.half_window is not None:
            rows = min(rows, max(LEAST_QUERIES, 2 * options.half_window))
        if matrices * rows * n_keys > CHUNK_SCORES:
            rows = min(rows, max(LEAST_QUERIES, CHUNK_SCORES // (matrices * n_keys)))
    if rows >= n_queries:
        return [Chunk(slice(n_queries), slice(n_keys), Place(shift, 0, first_token, n_queries))]
    found = []
    for start in range(0, n_queries, rows):
        queries = slice(start, min(start + rows, n_queries))
        keys = options.seen(start + shift, queries.stop - 1 + shift, n_keys)
        place = Place(start + shift - keys.start, keys.start, first_token + start, n_queries)
        found.append(Chunk(queries, keys, place))
    return found
