"""Attention over one dense block: PyTorch's fused CPU kernel where it can, matrix products where it cannot.

Shapes: b sequences of M queries and N keys each, H heads, D head size, R rows of the bias table.

Blocks are (b, H, M, D), as PyTorch's kernels take them, and have as many key/value heads as query heads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .dropout import scaled_keep
from .relative import distances, relative_buckets, visible
from .rules import Rules

_fused_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
_fused_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default


def added_bias(rules: Rules, distance: Tensor, dtype: torch.dtype) -> Tensor | None:
    """(H, M, N) ALiBi and T5 bias, or None where there is neither."""
    bias = None
    if rules.alibi_slopes is not None:
        bias = -rules.alibi_slopes.to(dtype)[:, None, None] * distance.abs()
    if rules.bias_table is not None:
        bucket = relative_buckets(
            distance, rules.bias_table.shape[0], rules.bias_max_distance, not rules.causal
        )
        learned = rules.bias_table.to(dtype)[bucket].permute(2, 0, 1)
        bias = learned if bias is None else bias + learned
    return bias


def additive_mask(rules: Rules, n_queries: int, n_keys: int, like: Tensor) -> Tensor | None:
    """(1, 1 or H, M, N): bias where visible, -inf elsewhere; None where it would be all zeros."""
    hides = rules.hides(n_queries, n_keys)
    if not hides and rules.alibi_slopes is None and rules.bias_table is None:
        return None
    distance = distances(n_queries, n_keys, like.device)
    bias = added_bias(rules, distance, like.dtype)
    if bias is None:
        bias = like.new_zeros(1, n_queries, n_keys)
    if hides:
        bias = bias.masked_fill(~visible(distance, rules.causal, rules.half_window), float("-inf"))
    return bias[None]


def block_forward(
    query: Tensor, key: Tensor, value: Tensor, rules: Rules, first_token: int
) -> tuple[Tensor, Tensor]:
    """Attention of b sequences at once.

    Args:
        query: (b, H, M, D).
        key: (b, H, N, D).
        value: (b, H, N, D).
        rules: what shapes the scores.
        first_token: index of the block's first query in the packed batch; names its dropout mask.

    Returns:
        out (b, H, M, D) and lse (b, H, M).
    """
    n_queries, n_keys = query.shape[2], key.shape[2]
    if _is_fusable(rules, n_queries, n_keys, query.device):
        simple_causal = _is_simple_causal(rules, n_queries, n_keys)
        mask = None if simple_causal else additive_mask(rules, n_queries, n_keys, query)
        fused: tuple[Tensor, Tensor] = _fused_forward(
            query, key, value, 0.0, simple_causal, attn_mask=mask, scale=rules.scale
        )
        return fused
    score, _ = _scores(query, key, rules)
    lse = torch.logsumexp(score, dim=-1)
    weight = _weights(score, lse)
    if rules.dropout > 0:
        weight = weight * _keep(weight, rules, first_token)
    return weight.to(value.dtype) @ value, lse


def block_backward(
    grad_out: Tensor,
    grad_lse: Tensor | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    rules: Rules,
    first_token: int,
    grad_table: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `block_forward`.

    Args:
        grad_out: (b, H, M, D).
        grad_lse: (b, H, M), or None where it is zero.
        query: (b, H, M, D).
        key: (b, H, N, D).
        value: (b, H, N, D).
        out: (b, H, M, D), of the forward pass.
        lse: (b, H, M), of the forward pass.
        rules: as in the forward pass.
        first_token: as in the forward pass.
        grad_table: (R, H) that the bias table's gradient is added to, or None where it is not wanted.

    Returns:
        Gradients of query, key and value, in their layout.
    """
    n_queries, n_keys = query.shape[2], key.shape[2]
    if grad_table is None and grad_lse is None and _is_fusable(rules, n_queries, n_keys, query.device):
        simple_causal = _is_simple_causal(rules, n_queries, n_keys)
        mask = None if simple_causal else additive_mask(rules, n_queries, n_keys, query)
        fused: tuple[Tensor, Tensor, Tensor] = _fused_backward(
            grad_out, query, key, value, out, lse, 0.0, simple_causal, attn_mask=mask, scale=rules.scale
        )
        return fused
    score, slope = _scores(query, key, rules)
    weight = _weights(score, lse)
    grad_weight = grad_out @ value.transpose(2, 3)
    kept = weight
    if rules.dropout > 0:
        keep = _keep(weight, rules, first_token)
        kept, grad_weight = weight * keep, grad_weight * keep
    inner = (grad_out.to(weight.dtype) * out.to(weight.dtype)).sum(-1)
    if grad_lse is not None:
        inner = inner - grad_lse
    grad_score = weight * (grad_weight.to(weight.dtype) - inner[..., None])
    if grad_table is not None:
        distance = distances(n_queries, n_keys, query.device)
        bucket = relative_buckets(distance, grad_table.shape[0], rules.bias_max_distance, not rules.causal)
        grad_table.index_add_(0, bucket.flatten(), grad_score.sum(0).flatten(1).T.to(grad_table.dtype))
    if slope is not None:
        grad_score = grad_score * slope
    grad_score = (grad_score * rules.scale).to(query.dtype)
    grad_value = kept.to(value.dtype).transpose(2, 3) @ grad_out
    return grad_score @ key, grad_score.transpose(2, 3) @ query, grad_value


def _is_simple_causal(rules: Rules, n_queries: int, n_keys: int) -> bool:
    """Whether the fused kernel's own causal flag, which needs no mask tensor, says it all."""
    windowed = rules.half_window is not None and n_keys - 1 > rules.half_window
    biased = rules.alibi_slopes is not None or rules.bias_table is not None
    return rules.causal and n_queries == n_keys and not windowed and not biased


def _scores(query: Tensor, key: Tensor, rules: Rules) -> tuple[Tensor, Tensor | None]:
    """Scores (b, H, M, N) in at least fp32, -inf where not visible; and the soft cap's slope, or None."""
    n_queries, n_keys = query.shape[2], key.shape[2]
    score = query @ key.transpose(2, 3)
    score = score.to(torch.promote_types(score.dtype, torch.float32)) * rules.scale
    slope = None
    if rules.softcap is not None:
        bounded = torch.tanh(score / rules.softcap)
        score, slope = bounded * rules.softcap, 1 - bounded * bounded
    mask = additive_mask(rules, n_queries, n_keys, score)
    return (score if mask is None else score + mask), slope


def _weights(score: Tensor, lse: Tensor) -> Tensor:
    """exp(score - lse), and 0 in a row without keys, where both are -inf."""
    return torch.exp(score - lse.clamp(min=torch.finfo(lse.dtype).min)[..., None])


def _keep(weight: Tensor, rules: Rules, first_token: int) -> Tensor:
    """Dropout factors (b, H, M, N) of a block's weights."""
    size, n_heads, n_queries, n_keys = weight.shape
    token = first_token + torch.arange(size * n_queries, device=weight.device).view(size, 1, n_queries, 1)
    rows = token * n_heads + torch.arange(n_heads, device=weight.device)[:, None, None]
    keys = torch.arange(n_keys, device=weight.device)
    return scaled_keep(rows, keys, rules.seed, rules.dropout, weight.dtype)


def _is_fusable(rules: Rules, n_queries: int, n_keys: int, device: torch.device) -> bool:
    """Whether the fused CPU kernel does this block: no more than an additive mask, no row without keys."""
    plain = device.type == "cpu" and rules.softcap is None and rules.dropout == 0
    return plain and not rules.has_blind_rows(n_queries, n_keys)
