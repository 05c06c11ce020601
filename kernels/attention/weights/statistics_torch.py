"""The `torch` backend of `attention_statistics`, as a custom operator.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table; a run is b neighbouring sequences of M queries and N keys each, a block m queries and n keys.

With t = s - anchor (see `probe`) and e = exp t, whose sum z over a row is about 1,

    entropy = log z - (sum e t) / z    distance = (sum e |distance|) / z    p = e / (z + exp(sink - anchor))

What the anchor was rounded by changes every t of a row alike, and falls out of all three.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..torch.equal_lengths import layout
from .arguments import score_rules
from .torch_blocks import blocks


def compute_statistics(
    q: Tensor,
    k: Tensor,
    anchor: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    causal: bool,
    half_window: int | None,
    alibi_slopes: Tensor | None,
    bias_table: Tensor | None,
    bias_max_distance: int,
    softcap: float | None,
    scale: float,
    sink: Tensor | None,
    marked: Tensor | None,
    received: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Statistics; arguments as in `reference_statistics`.

    Returns:
        entropy, largest, distance and marked mass (T, H), and received (S, H); the last two have no elements
        where they were not asked for.
    """
    rules = score_rules(causal, half_window, alibi_slopes, bias_table, bias_max_distance, softcap, scale)
    batch = layout(cu_seqlens_q, cu_seqlens_k, may_reorder=True)
    entropy, largest, distance = (anchor.new_zeros(anchor.shape) for _ in range(3))
    marked_mass = anchor.new_zeros(anchor.shape if marked is not None else 0)
    column_sums = anchor.new_zeros((k.shape[0], q.shape[1]) if received else 0)
    sink_share = torch.zeros_like(anchor) if sink is None else torch.exp(sink - anchor)
    q, k = batch.sort_queries(q.to(anchor.dtype)), batch.sort_keys(k.to(anchor.dtype))
    anchor, sink_share = batch.sort_queries(anchor), batch.sort_queries(sink_share)
    marks = None if marked is None else batch.sort_keys(marked.to(anchor.dtype))
    for run in batch.runs:
        for block in blocks(run, q, k, anchor, rules):
            part = torch.exp(block.exponent)
            total, peak = part.sum(-1), part.amax(-1)
            some = torch.where(total == 0, 1.0, total)
            product = torch.mul(part, block.exponent, out=block.exponent)
            nats = (some.log() - product.sum(-1) / some).clamp_(min=0)
            # Where one key is all that there is, the difference of two roundings is not its entropy.
            block.rows(run, entropy).copy_(_in_order(nats.masked_fill_(peak == total, 0.0)))
            product = torch.mul(part, block.apart, out=block.exponent)
            block.rows(run, distance).copy_(_in_order(product.sum(-1) / some))
            whole = some + block.rows(run, sink_share).flip(1).transpose(1, 2)
            block.rows(run, largest).copy_(_in_order(peak / whole))
            if marks is not None:
                mark = run.keys(marks)[block.sequences, None, block.keys, None]
                block.rows(run, marked_mass).copy_(_in_order((part @ mark)[..., 0] / whole))
            if received:
                sums = torch.div(part, whole[..., None], out=block.exponent).sum(2)
                block.columns(run, column_sums).add_(sums.transpose(1, 2))
    return (
        batch.unsort_queries(entropy),
        batch.unsort_queries(largest),
        batch.unsort_queries(distance),
        marked_mass if marked is None else batch.unsort_queries(marked_mass),
        batch.unsort_keys(column_sums) if received else column_sums,
    )


statistics_torch = torch.library.custom_op(
    "xformer::attention_statistics_torch", compute_statistics, mutates_args=()
)


@statistics_torch.register_fake
def _(q: Tensor, k: Tensor, anchor: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    marked, received = rest[-2:]
    return (
        *(anchor.new_empty(anchor.shape) for _ in range(3)),
        anchor.new_empty(anchor.shape if marked is not None else 0),
        anchor.new_empty((k.shape[0], q.shape[1]) if received else 0),
    )


def _in_order(part: Tensor) -> Tensor:
    """(b, H, m), last query first → (b, m, H), first query first."""
    return part.transpose(1, 2).flip(1)
