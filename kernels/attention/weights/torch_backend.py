"""The `torch` backend of `attention_statistics` and `attention_rows`, as custom operators.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table; a stack is b neighbouring sequences of M queries and N keys each, a block m queries and n keys
of some of them; n rows are chosen, m of them in a sequence.

With t = s - anchor (see `anchor`) and e = exp t, whose sum z over a row is about 1,

    entropy = log z - (sum e t) / z    distance = (sum e |distance|) / z    p = e / (z + exp(sink - anchor))

The anchor's rounding error changes every t of a row by the same amount, and cancels in all three.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..operators import weights_operator
from ..options import AttentionOptions
from ..torch.dense import added_bias
from ..torch.equal_lengths import layout
from .torch_blocks import blocks


def compute_statistics(
    q: Tensor,
    k: Tensor,
    anchor: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
    marked: Tensor | None,
    received: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Statistics; arguments as in `reference_statistics`.

    Returns:
        entropy, largest, distance and marked mass (T, H), and received (S, H); the last two have no elements
        where they were not asked for.
    """
    stacks, queries, keys = layout(cu_seqlens_q, cu_seqlens_k, may_reorder=True)
    found = empty_statistics(q, k, anchor, marked, received)
    entropy, largest, distance, marked_mass, column_sums = (x.zero_() for x in found)
    sink_share = torch.zeros_like(anchor) if options.sink is None else torch.exp(options.sink - anchor)
    q, k = queries.sort(q.to(anchor.dtype)), keys.sort(k.to(anchor.dtype))
    anchor, sink_share = queries.sort(anchor), queries.sort(sink_share)
    marks = None if marked is None else keys.sort(marked.to(anchor.dtype))
    for stack in stacks:
        for block in blocks(stack, q, k, anchor, options):
            part = torch.exp(block.exponent)
            total, peak = part.sum(-1), part.amax(-1)
            some = torch.where(total == 0, 1.0, total)
            product = torch.mul(part, block.exponent, out=block.exponent)
            nats = (some.log() - product.sum(-1) / some).clamp_(min=0)
            # In a row of one key, the difference of two roundings is not its entropy.
            block.rows(stack, entropy).copy_(_in_order(nats.masked_fill_(peak == total, 0.0)))
            product = torch.mul(part, block.apart, out=block.exponent)
            block.rows(stack, distance).copy_(_in_order(product.sum(-1) / some))
            whole = some + block.rows(stack, sink_share).flip(1).transpose(1, 2)
            block.rows(stack, largest).copy_(_in_order(peak / whole))
            if marks is not None:
                mark = stack.keys(marks)[block.sequences, None, block.keys, None]
                block.rows(stack, marked_mass).copy_(_in_order((part @ mark)[..., 0] / whole))
            if received:
                sums = torch.div(part, whole[..., None], out=block.exponent).sum(2)
                block.columns(stack, column_sums).add_(sums.transpose(1, 2))
    return (
        queries.unsort(entropy),
        queries.unsort(largest),
        queries.unsort(distance),
        marked_mass if marked is None else queries.unsort(marked_mass),
        keys.unsort(column_sums) if received else column_sums,
    )


def empty_statistics(q: Tensor, k: Tensor, anchor: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    """Entropy, largest, distance, marked mass and received, not filled in.

    The last two have no elements where they are not asked for. `rest` ends in marked and received.
    """
    marked, received = rest[-2:]
    rows = [anchor.new_empty(anchor.shape) for _ in range(3)]
    return (
        *rows,
        anchor.new_empty(0 if marked is None else anchor.shape),
        anchor.new_empty((k.shape[0], q.shape[1]) if received else 0),
    )


statistics_torch = weights_operator("attention_statistics_torch", compute_statistics, empty_statistics)


def _in_order(part: Tensor) -> Tensor:
    """(b, H, m), last query first → (b, m, H), first query first."""
    return part.transpose(1, 2).flip(1)


def _rows(
    q: Tensor,
    k: Tensor,
    anchor: Tensor,
    rows: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
    max_length_k: int,
) -> Tensor:
    found = anchor.new_zeros(rows.shape[0], q.shape[1], max_length_k)
    rows, sequences = rows.long(), sequences_of(rows, cu_seqlens_q)
    starts_q, starts_k = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
    for sequence in sequences.unique().tolist():
        here = (sequences == sequence).nonzero()[:, 0]
        key = k[starts_k[sequence] : starts_k[sequence + 1]].to(anchor.dtype)
        if key.shape[0] == 0:
            continue
        chosen = rows[here]
        stop = starts_q[sequence + 1]
        position = chosen - stop + key.shape[0]
        weight = _parts(q[chosen].to(anchor.dtype), key, anchor[chosen], position, options)
        found[here, :, : key.shape[0]] = weight.transpose(0, 1)
    return normalise_rows(found, anchor[rows], options.sink)


def empty_rows(q: Tensor, k: Tensor, anchor: Tensor, rows: Tensor, *rest: Any) -> Tensor:
    """(n, H, max_length_k), not filled in; `rest` ends in max_length_k."""
    return anchor.new_empty(rows.shape[0], q.shape[1], rest[-1])


rows_torch = weights_operator("attention_rows_torch", _rows, empty_rows)


def sequences_of(rows: Tensor, cu_seqlens: Tensor) -> Tensor:
    """(n,) the sequence that each packed row belongs to."""
    starts, rows = cu_seqlens.contiguous(), rows.to(cu_seqlens.dtype).contiguous()
    return torch.searchsorted(starts, rows, right=True) - 1


def normalise_rows(parts: Tensor, anchor: Tensor, sink: Tensor | None) -> Tensor:
    """Turn exp(score - anchor), (n, H, N), into weights, in place; anchor is (n, H)."""
    total = parts.sum(-1)
    if sink is not None:
        total += torch.exp(sink - anchor)
    return parts.div_(total.masked_fill_(total == 0, 1.0)[..., None])


def _parts(query: Tensor, key: Tensor, anchor: Tensor, position: Tensor, options: AttentionOptions) -> Tensor:
    """(H, m, N) exp(score - anchor) of queries (m, H, D) at key positions (m,) and keys (N, G, D)."""
    n_rows, n_heads, head_size = query.shape
    n_keys, n_kv_heads = key.shape[:2]
    grouped = (query * options.scale).transpose(0, 1).reshape(n_kv_heads, -1, head_size)
    score = torch.bmm(grouped, key.permute(1, 2, 0)).view(n_heads, n_rows, n_keys)
    if options.softcap is not None:
        score.div_(options.softcap).tanh_().mul_(options.softcap)
    distance = torch.arange(n_keys, device=key.device) - position[:, None]
    bias = added_bias(options, distance, score.dtype)
    if bias is not None:
        score.add_(bias)
    score.masked_fill_(~options.visible(distance), float("-inf"))
    return score.sub_(anchor.masked_fill(anchor.isneginf(), float("inf")).T[..., None]).exp_()
