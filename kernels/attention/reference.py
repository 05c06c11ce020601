"""The definition of attention: plain PyTorch, one sequence at a time, differentiable any number of times.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads (G divides H), D head
size; within one sequence M queries, N keys.

    s[h, i, j] = cap(scale * q[i, h] . k[j, h // (H / G)]) + bias[h, j - i - (N - M)]    (-inf where hidden)
    lse[i, h]  = log (exp sink[h] + sum_j exp s[h, i, j])          (without a sink: its exp is 0)
    out[i, h]  = sum_j keep[h, i, j] * exp(s[h, i, j] - lse[i, h]) * v[j, h // (H / G)]

A row with nothing to attend to gives out = 0 and lse = -inf (with a sink: the sink), and passes no gradient
on to q, k and v.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .dropout import dropout_factors
from .options import AttentionOptions
from .relative_position import distances


def reference_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
) -> tuple[Tensor, Tensor]:
    """The definition. Arguments as in `attention`, already checked.

    Returns:
        out (T, H, D) in q's dtype, lse (T, H) in fp32, or fp64 for fp64 inputs.
    """
    n_heads = q.shape[1]
    group = n_heads // k.shape[1]
    stat_dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
    outs, lses = [], []
    starts_q, starts_k = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
    if len(starts_q) == 1:  # without a sequence there would be nothing to differentiate: take an empty one
        starts_q, starts_k = [0, 0], [0, 0]
    for start_q, stop_q, start_k, stop_k in zip(starts_q, starts_q[1:], starts_k, starts_k[1:], strict=False):
        query = q[start_q:stop_q].transpose(0, 1)
        key = k[start_k:stop_k].transpose(0, 1).repeat_interleave(group, dim=0)
        value = v[start_k:stop_k].transpose(0, 1).repeat_interleave(group, dim=0)
        score = query @ key.transpose(1, 2) * options.scale
        if options.softcap is not None:
            score = options.softcap * torch.tanh(score / options.softcap)
        distance = distances(stop_q - start_q, stop_k - start_k, q.device)
        if options.alibi_slopes is not None:
            score = score - options.alibi_slopes[:, None, None].to(score.dtype) * distance.abs()
        if options.bias_table is not None:
            bucket = options.buckets(distance, options.bias_table.shape[0])
            score = score + options.bias_table[bucket].permute(2, 0, 1).to(score.dtype)
        weight, lse = masked_softmax(score, options.visible(distance), stat_dtype)
        if options.sink is not None:
            weight, lse = add_sink(weight, lse, options.sink)
        if options.dropout > 0:
            token = torch.arange(start_q, stop_q, device=q.device)
            rows = token[:, None] * n_heads + torch.arange(n_heads, device=q.device)[:, None, None]
            keys = torch.arange(stop_k - start_k, device=q.device)
            weight = weight * dropout_factors(rows, keys, options, weight.dtype)
        outs.append((weight.to(value.dtype) @ value).transpose(0, 1))
        lses.append(lse.transpose(0, 1))
    return torch.cat(outs), torch.cat(lses)


def masked_softmax(score: Tensor, seen: Tensor, stat_dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Softmax over the keys that are seen, and its log-sum-exp; 0 and -inf where none is.

    Args:
        score: (H, M, N).
        seen: bool, broadcastable to it.
        stat_dtype: dtype of sums.

    Returns:
        weights (H, M, N) in `stat_dtype` and lse (H, M).
    """
    score = score.to(stat_dtype).masked_fill(~seen, float("-inf"))
    empty = ~seen.any(dim=-1).expand(score.shape[:-1])
    if score.shape[-1] == 0:
        return score, score.new_full(score.shape[:-1], float("-inf")) + score.sum(dim=-1)
    # An empty row is given zeros instead, and masked afterwards: a gradient through -inf - -inf would be NaN.
    score = score.masked_fill(empty[..., None], 0.0)
    weight = torch.softmax(score, dim=-1).masked_fill(empty[..., None], 0.0)
    lse = torch.logsumexp(score, dim=-1).masked_fill(empty, float("-inf"))
    return weight, lse


def add_sink(weight: Tensor, lse: Tensor, sink: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax and log-sum-exp when a key with score `sink` and no value joins in.

    Args:
        weight: (H, M, N), without it.
        lse: (H, M), without it; -inf where there are no keys.
        sink: (H,).

    Returns:
        weights (H, M, N) and lse (H, M) with it.
    """
    blind = lse.isneginf()
    # As in `masked_softmax`: a gradient through a difference of infinities would be NaN.
    alone = lse.masked_fill(blind, 0.0)
    score = sink.to(lse.dtype)[:, None].expand_as(lse)
    joint = torch.where(blind, score, torch.logaddexp(alone, score))
    return weight * torch.exp((alone - joint).masked_fill(blind, 0.0))[..., None], joint
