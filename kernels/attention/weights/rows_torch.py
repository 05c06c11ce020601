"""The `torch` backend of `attention_rows`, as a custom operator.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table; n chosen rows, m of them in a sequence of M queries and N keys.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..options import Rules
from ..relative import visible
from ..torch.dense import added_bias
from .arguments import score_rules


@torch.library.custom_op("xformer::attention_rows_torch", mutates_args=())
def rows_torch(
    q: Tensor,
    k: Tensor,
    anchor: Tensor,
    rows: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_length_k: int,
    causal: bool,
    half_window: int | None,
    alibi_slopes: Tensor | None,
    bias_table: Tensor | None,
    bias_max_distance: int,
    softcap: float | None,
    scale: float,
    sink: Tensor | None,
) -> Tensor:
    """Chosen rows; arguments as in `reference_rows`.

    Returns:
        (n, H, max_length_k).
    """
    rules = score_rules(causal, half_window, alibi_slopes, bias_table, bias_max_distance, softcap, scale)
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
        weight = _parts(q[chosen].to(anchor.dtype), key, anchor[chosen], position, rules)
        found[here, :, : key.shape[0]] = weight.transpose(0, 1)
    return normalise_rows(found, anchor[rows], sink)


@rows_torch.register_fake
def _(q: Tensor, k: Tensor, anchor: Tensor, rows: Tensor, *rest: Any) -> Tensor:
    return anchor.new_empty(rows.shape[0], q.shape[1], rest[2])


def sequences_of(rows: Tensor, cu_seqlens: Tensor) -> Tensor:
    """(n,) which sequence each packed row belongs to; an empty one has none."""
    starts, rows = cu_seqlens.contiguous(), rows.to(cu_seqlens.dtype).contiguous()
    return torch.searchsorted(starts, rows, right=True) - 1


def normalise_rows(parts: Tensor, anchor: Tensor, sink: Tensor | None) -> Tensor:
    """Turn exp(score - anchor), (n, H, N), into weights, in place; anchor is (n, H)."""
    total = parts.sum(-1)
    if sink is not None:
        total += torch.exp(sink - anchor)
    return parts.div_(total.masked_fill_(total == 0, 1.0)[..., None])


def _parts(query: Tensor, key: Tensor, anchor: Tensor, position: Tensor, rules: Rules) -> Tensor:
    """(H, m, N) exp(score - anchor) of queries (m, H, D) at key positions (m,) and keys (N, G, D)."""
    n_rows, n_heads, head_size = query.shape
    n_keys, n_kv_heads = key.shape[:2]
    grouped = (query * rules.scale).transpose(0, 1).reshape(n_kv_heads, -1, head_size)
    score = torch.bmm(grouped, key.permute(1, 2, 0)).view(n_heads, n_rows, n_keys)
    if rules.softcap is not None:
        score.div_(rules.softcap).tanh_().mul_(rules.softcap)
    distance = torch.arange(n_keys, device=key.device) - position[:, None]
    bias = added_bias(rules, distance, score.dtype)
    if bias is not None:
        score.add_(bias)
    score.masked_fill_(~visible(distance, rules.causal, rules.half_window), float("-inf"))
    return score.sub_(anchor.masked_fill(anchor.isneginf(), float("inf")).T[..., None]).exp_()
