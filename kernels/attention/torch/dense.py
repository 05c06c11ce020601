"""Attention over one dense block: by PyTorch's fused CPU kernel where possible, otherwise by matrix products.

Shapes: b sequences of M queries and N keys each, H heads, D head size, R rows of the bias table.

Blocks are (b, H, M, D), as PyTorch's kernels take them, and have as many key/value heads as query heads.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..dropout import dropout_factors
from ..options import AttentionOptions
from ..relative_position import distances

_fused_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
_fused_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default


def added_bias(options: AttentionOptions, distance: Tensor, dtype: torch.dtype) -> Tensor | None:
    """(H, M, N) ALiBi and T5 bias, or None where there is neither."""
    bias = None
    if options.alibi_slopes is not None:
        bias = -options.alibi_slopes.to(dtype)[:, None, None] * distance.abs()
    if options.bias_table is not None:
        bucket = options.buckets(distance, options.bias_table.shape[0])
        learned = options.bias_table.to(dtype)[bucket].permute(2, 0, 1)
        bias = learned if bias is None else bias + learned
    return bias


def additive_mask(
    options: AttentionOptions, n_queries: int, n_keys: int, shift: int, like: Tensor
) -> Tensor | None:
    """(1, 1 or H, M, N): bias where visible, -inf elsewhere; None where it would be all zeros.

    Args:
        options: what shapes the scores.
        n_queries: M.
        n_keys: N.
        shift: the key position at which the first query stands.
        like: of the dtype and on the device that the mask is to have.
    """
    hides = options.hides(n_queries, n_keys, shift)
    if not hides and not options.has_bias:
        return None
    distance = distances(n_queries, n_keys, like.device, shift)
    bias = added_bias(options, distance, like.dtype)
    if bias is None:
        bias = like.new_zeros(1, n_queries, n_keys)
    if hides:
        bias = bias.masked_fill(~options.visible(distance), float("-inf"))
    return bias[None]


class Place(NamedTuple):
    """The positions of a block's queries and keys.

    Attributes:
        shift: position of the first query, counted in keys from the first; negative before it.
        first_key: index of the first key in its sequence: its column of the dropout mask.
        first_token: index of the first query in the packed batch: its row of the dropout mask.
        step: distance in tokens to the next sequence's first query.
    """

    shift: int
    first_key: int
    first_token: int
    step: int


def dense_forward(
    query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions, place: Place
) -> tuple[Tensor, Tensor]:
    """Attention of b sequences at once.

    Args:
        query: (b, H, M, D).
        key: (b, H, N, D).
        value: (b, H, N, D).
        options: what shapes the scores.
        place: of the queries and keys.

    Returns:
        out (b, H, M, D) and lse (b, H, M).
    """
    if is_fusable(options, place.shift, query.device):
        causal, mask = _fused_mask(query, key, options, place.shift)
        fused: tuple[Tensor, Tensor] = _fused_forward(
            query, key, value, 0.0, causal, attn_mask=mask, scale=options.scale
        )
        return fused
    score, _ = _scores(query, key, options, place.shift)
    lse = torch.logsumexp(score, dim=-1)
    weight = _weights(score, lse)
    if options.dropout > 0:
        weight = weight * _dropout_factors(weight, options, place)
    return weight.to(value.dtype) @ value, lse


def with_nan(block: tuple[Tensor, Tensor], query: Tensor, key: Tensor, options: AttentionOptions) -> Tensor:
    """Put NaN into rows of a block that the fused kernel took for rows without keys; changes its lse too.

    A row whose largest score is no number, or -inf, gets out 0 and lse 0 from it: below 16 keys where scores
    are NaN, and anywhere where all are -inf. No other row has both but by chance.

    Args:
        block: out (b, H, M, D) and lse (b, H, M), of `dense_forward`.
        query: (b, H, M, D).
        key: (b, H, N, D).
        options: what shapes the scores.

    Returns:
        out.
    """
    out, lse = block
    shift = key.shape[2] - query.shape[2]
    for one, row in ((lse == 0) & (out == 0).all(-1)).any(1).nonzero().tolist():
        place = slice(one, one + 1), slice(None), slice(row, row + 1)
        score, _ = _scores(query[place], key[one : one + 1], options, shift + row)
        true = torch.logsumexp(score, dim=-1)
        lost = true.isnan() | true.isneginf()
        out[place] = out[place].masked_fill(lost[..., None], float("nan"))
        lse[place] = torch.where(lost, true, lse[place])
    return out


def dense_backward(
    grad_out: Tensor,
    grad_lse: Tensor | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    options: AttentionOptions,
    place: Place,
    grad_table: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `dense_forward`.

    Args:
        grad_out: (b, H, M, D).
        grad_lse: (b, H, M), or None where it is zero.
        query: (b, H, M, D).
        key: (b, H, N, D).
        value: (b, H, N, D).
        out: (b, H, M, D), of the forward pass.
        lse: (b, H, M), of the forward pass.
        options: as in the forward pass.
        place: as in the forward pass.
        grad_table: (R, H) that the bias table's gradient is added to, or None where it is not wanted.

    Returns:
        Gradients of query, key and value, in their layout.
    """
    if grad_table is None and grad_lse is None and is_fusable(options, place.shift, query.device):
        causal, mask = _fused_mask(query, key, options, place.shift)
        fused: tuple[Tensor, Tensor, Tensor] = _fused_backward(
            grad_out, query, key, value, out, lse, 0.0, causal, attn_mask=mask, scale=options.scale
        )
        return fused
    score, slope = _scores(query, key, options, place.shift)
    weight = _weights(score, lse)
    grad_weight = grad_out @ value.transpose(2, 3)
    kept = weight
    if options.dropout > 0:
        keep = _dropout_factors(weight, options, place)
        kept, grad_weight = weight * keep, grad_weight * keep
    inner = (grad_out.to(weight.dtype) * out.to(weight.dtype)).sum(-1)
    if grad_lse is not None:
        inner = inner - grad_lse.masked_fill(lse.isneginf(), 0.0)  # 0 times an infinite one would be NaN
    grad_score = weight * (grad_weight.to(weight.dtype) - inner[..., None])
    if grad_table is not None:
        distance = distances(query.shape[2], key.shape[2], query.device, place.shift)
        bucket = options.buckets(distance, grad_table.shape[0])
        grad_table.index_add_(0, bucket.flatten(), grad_score.sum(0).flatten(1).T.to(grad_table.dtype))
    if slope is not None:
        grad_score = grad_score * slope
    grad_score = (grad_score * options.scale).to(query.dtype)
    grad_value = kept.to(value.dtype).transpose(2, 3) @ grad_out
    return grad_score @ key, grad_score.transpose(2, 3) @ query, grad_value


def _fused_mask(
    query: Tensor, key: Tensor, options: AttentionOptions, shift: int
) -> tuple[bool, Tensor | None]:
    """The fused kernel's causal flag, and its additive mask (see `additive_mask`)."""
    n_queries, n_keys = query.shape[2], key.shape[2]
    if _is_simple_causal(options, n_queries, n_keys):
        return True, None
    return False, additive_mask(options, n_queries, n_keys, shift, query)


def _is_simple_causal(options: AttentionOptions, n_queries: int, n_keys: int) -> bool:
    """Whether the fused kernel's causal flag, which needs no mask tensor, is the whole mask."""
    if options.has_bias or (options.half_window is not None and n_keys - 1 > options.half_window):
        return False
    # It hides before it scales: a scale that is not positive would bring hidden keys back, or make them NaN.
    return options.causal and n_queries == n_keys and options.scale > 0


def n_masks(options: AttentionOptions, n_heads: int, n_queries: int, n_keys: int) -> int:
    """The number of matrices in the additive mask that the fused kernel is given."""
    if options.has_bias:
        return n_heads
    masked = options.hides(n_queries, n_keys, n_keys - n_queries)
    return int(masked and not _is_simple_causal(options, n_queries, n_keys))


def _scores(
    query: Tensor, key: Tensor, options: AttentionOptions, shift: int
) -> tuple[Tensor, Tensor | None]:
    """Scores (b, H, M, N) in at least fp32, -inf where not visible; and the soft cap's slope, or None."""
    score = query @ key.transpose(2, 3)
    score = score.to(torch.promote_types(score.dtype, torch.float32)) * options.scale
    slope = None
    if options.softcap is not None:
        bounded = torch.tanh(score / options.softcap)
        score, slope = bounded * options.softcap, 1 - bounded * bounded
    mask = additive_mask(options, query.shape[2], key.shape[2], shift, score)
    return (score if mask is None else score + mask), slope


def _weights(score: Tensor, lse: Tensor) -> Tensor:
    """exp(score - lse), and 0 in a row without keys, where both are -inf."""
    return torch.exp(score - lse.clamp(min=torch.finfo(lse.dtype).min)[..., None])


def _dropout_factors(weight: Tensor, options: AttentionOptions, place: Place) -> Tensor:
    """Dropout factors (b, H, M, N) of weights."""
    sequence, head, query, key = (torch.arange(n, device=weight.device) for n in weight.shape)
    token = place.first_token + place.step * sequence[:, None, None, None] + query[:, None]
    rows, keys = token * len(head) + head[:, None, None], place.first_key + key
    return dropout_factors(rows, keys, options, weight.dtype)


def is_fusable(options: AttentionOptions, shift: int, device: torch.device) -> bool:
    """Whether the fused CPU kernel can do this: at most an additive mask, and no row without keys."""
    plain = device.type == "cpu" and options.softcap is None and options.dropout == 0
    return plain and not options.has_blind_rows(shift)
