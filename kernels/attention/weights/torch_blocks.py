"""Weights of a packed batch in blocks that fit a processor's cache, for the `torch` backend of statistics.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size; a stack is b
neighbouring sequences of M queries and N keys each, a block m queries and n keys of h heads of some of them;
there are L = M + N - 1 distances from a query to a key.

Bias, mask and |distance| depend on distance alone: each is a vector of L values. With the last query first,
row r and column c of a block are `r + c` plus a constant apart, so each of these matrices is a view of its
vector with both strides 1, and is never formed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..options import AttentionOptions
from ..torch.dense import added_bias
from ..torch.equal_lengths import Stack

# Found by timing: matrix products are fast from 64 rows on, everything else is while it fits the cache.
BLOCK_SCORES = 2**19
LEAST_QUERIES = 64
# Instead of -inf: far below every score, yet 0 · HIDDEN is 0 and not NaN.
HIDDEN = -1e30


class Block(NamedTuple):
    """The scores of some queries of some heads of some of a stack's sequences, with every key that they see.

    Attributes:
        sequences: which of the stack's sequences.
        heads: which query heads.
        queries: which queries of each, last query first.
        keys: which keys of each; all others are hidden from these queries.
        exponent: (b, h, m, n) score - anchor, HIDDEN or less where hidden.
        apart: (m, n) |distance|.
    """

    sequences: slice
    heads: slice
    queries: slice
    keys: slice
    exponent: Tensor
    apart: Tensor

    def rows(self, stack: Stack, packed: Tensor) -> Tensor:
        """The block's part (b, m, h) of a (T, H) tensor, first query first."""
        return stack.queries(packed)[self.sequences, self.queries, self.heads]

    def columns(self, stack: Stack, packed: Tensor) -> Tensor:
        """The block's part (b, n, h) of a (S, H) tensor."""
        return stack.keys(packed)[self.sequences, self.keys, self.heads]


def blocks(stack: Stack, q: Tensor, k: Tensor, anchor: Tensor, options: AttentionOptions) -> Iterator[Block]:
    """Cut a stack into blocks of about BLOCK_SCORES scores. Queries that see no key may be in none.

    Args:
        stack: which part of the batch.
        q: (T, H, D) in the stacks' order, in anchor's dtype.
        k: (S, G, D) in the stacks' order, in anchor's dtype.
        anchor: (T, H) in the stacks' order.
        options: what shapes the scores.
    """
    n_kv_heads, n_queries, n_keys = k.shape[1], stack.n_queries, stack.n_keys
    group, shift = q.shape[1] // n_kv_heads, n_keys - n_queries
    distance = torch.arange(1 - n_keys, n_queries, device=q.device)
    apart = distance.abs().to(anchor.dtype)
    bias = _bias(options, distance, stack, anchor.dtype)
    room = max(1, BLOCK_SCORES // n_keys)  # rows of scores
    n_kv = _between(1, room // (group * min(n_queries, LEAST_QUERIES)), n_kv_heads)
    n_rows = _between(1, room // (group * n_kv), n_queries)
    size = _between(1, room // (group * n_kv * n_rows), stack.size)
    for sequences in _slices(stack.size, size):
        key = stack.keys(k)[sequences].permute(0, 2, 3, 1).contiguous()
        for kv_heads in _slices(n_kv_heads, n_kv):
            heads = slice(kv_heads.start * group, kv_heads.stop * group)
            for queries in _slices(n_queries, n_rows):
                keys = options.seen(queries.start + shift, queries.stop - 1 + shift, n_keys)
                if keys.start >= keys.stop:
                    continue
                query = stack.queries(q)[sequences, queries, heads].flip(1) * options.scale
                score = _products(query, key[:, kv_heads, :, keys])
                if options.softcap is not None:
                    score.div_(options.softcap).tanh_().mul_(options.softcap)
                offset = keys.start + n_queries - queries.stop
                if bias is not None:
                    score.add_(_matrix(bias[heads] if bias.shape[0] > 1 else bias, offset, score))
                row_anchor = stack.queries(anchor)[sequences, queries, heads].flip(1)
                score.sub_(row_anchor.masked_fill(row_anchor.isneginf(), -HIDDEN).transpose(1, 2)[..., None])
                yield Block(sequences, heads, queries, keys, score, _matrix(apart, offset, score))


def _between(least: int, wanted: int, most: int) -> int:
    return min(max(least, wanted), most)


def _slices(end: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, end)) for start in range(0, end, step)]


def _bias(options: AttentionOptions, distance: Tensor, stack: Stack, dtype: torch.dtype) -> Tensor | None:
    """(H or 1, L) what is added to a score at each distance; None where that is nothing."""
    bias = added_bias(options, distance[None], dtype)
    if options.hides(stack.n_queries, stack.n_keys, stack.n_keys - stack.n_queries):
        if bias is None:
            bias = torch.zeros(1, 1, distance.shape[0], dtype=dtype, device=distance.device)
        bias = bias.masked_fill(~options.visible(distance), HIDDEN)
    return None if bias is None else bias[:, 0].clamp(min=HIDDEN)


def _products(query: Tensor, key: Tensor) -> Tensor:
    """q·k of each head, (b, h, m, n), for queries (b, m, h, D) and the keys (b, g, D, n) of their groups."""
    size, n_rows, n_heads, head_size = query.shape
    grouped = query.transpose(1, 2).reshape(size * key.shape[1], -1, head_size)
    return torch.bmm(grouped, key.flatten(0, 1)).view(size, n_heads, n_rows, key.shape[3])


def _matrix(by_distance: Tensor, offset: int, score: Tensor) -> Tensor:
    """(…, m, n) view of (…, L): element (r, c) is that of `offset + r + c`."""
    n_rows, n_keys = score.shape[2:]
    return by_distance.narrow(-1, offset, n_rows + n_keys - 1).unfold(-1, n_keys, 1)
