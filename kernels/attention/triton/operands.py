"""The options of attention as arguments of its Triton kernels.

Shapes: H query heads, R rows of the bias table, F the greatest distance with a T5 bias of its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..dropout import WORD, drop_threshold
from ..options import AttentionOptions
from ..relative_position import farthest_bucketed, relative_buckets

LOG2_E = 1.4426950408889634


def shared_operands(
    q: Tensor,
    k: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
    max_length: int,
    **others: Tensor,
) -> dict[str, Any]:
    """Arguments, by name, of every kernel that computes scores.

    Args:
        q: (T, H, D).
        k: (S, G, D).
        cu_seqlens_q: (B+1,).
        cu_seqlens_k: (B+1,).
        options: of the attention.
        max_length: no sequence has more queries or keys.
        others: further tensors (T, H, D), which are passed with their strides.
    """
    folded = is_folded(q.dtype)
    unit = LOG2_E if folded else 1.0
    bias, far = None, 0
    if options.bias_table is not None:
        buckets = bucket_line(options.bias_table, options, max_length)
        far = buckets.shape[0] // 2
        bias = options.bias_table.float().t().index_select(1, buckets)
        if folded:
            bias.mul_(unit)
    return {
        "q": q,
        "k": k,
        **others,
        **strides(q=q, k=k, **others),
        "cu_seqlens_q": cu_seqlens_q.contiguous(),
        "cu_seqlens_k": cu_seqlens_k.contiguous(),
        "n_heads": q.shape[1],
        "group": q.shape[1] // k.shape[1],
        "slopes": in_a_row(options.alibi_slopes),
        "bias": bias,
        "far": far,
        "score_scale": options.scale * unit,
        "cap": (options.softcap or 1.0) * unit,
        "half_window": options.half_window or 0,
        "CAUSAL": options.causal,
        "WINDOW": options.window is not None,
        "ALIBI": options.alibi_slopes is not None,
        "BIAS": bias is not None,
        "SOFTCAP": options.softcap is not None,
        "FOLDED": folded,
    }


def strides(**tensors: Tensor) -> dict[str, int]:
    """`stride_qt`, `stride_qh`, `stride_qd` of a tensor (T, H, D) called `q`."""
    return {
        f"stride_{name}{axis}": stride
        for name, x in tensors.items()
        for axis, stride in zip("thd", x.stride(), strict=True)
    }


def in_a_row(x: Tensor | None) -> Tensor | None:
    """A tensor with its elements side by side in memory, as kernels expect; a view may have strides."""
    return None if x is None else x.contiguous()


def dropout_operands(options: AttentionOptions) -> dict[str, Any]:
    """Kernel arguments of `dropout.dropout_mask`; each word as the int32 of the same bits."""
    seed = options.seed or 0
    words = {
        "seed_low": seed & WORD,
        "seed_high": (seed >> 32) & WORD,
        "threshold": drop_threshold(options.dropout),
    }
    signed = {name: word - (1 << 32) if word >> 31 else word for name, word in words.items()}
    return {**signed, "kept_scale": 1.0 / (1.0 - options.dropout), "DROPOUT": options.dropout > 0}


def is_folded(dtype: torch.dtype) -> bool:
    """Whether kernels compute scores in base 2; see `tiles.exponential`."""
    return dtype != torch.float32


def bucket_line(table: Tensor, options: AttentionOptions, max_length: int) -> Tensor:
    """(2F+1,) int64: the bucket of each distance from -F to F; all beyond share those of the ends.

    Args:
        table: (R, H) bias table; the result is on its device.
        options: whose buckets they are.
        max_length: no distance is as great; F need not be more.
    """
    longest = 1 << max(0, max_length - 1).bit_length()  # rounded up, so that few lines serve all batches
    far = min(farthest_bucketed(options.bias_max_distance), longest)
    return _bucket_line(table.shape[0], options.bias_max_distance, not options.causal, far, table.device)


@lru_cache(maxsize=64)
def _bucket_line(
    n_buckets: int, max_distance: int, bidirectional: bool, far: int, device: torch.device
) -> Tensor:
    """See `bucket_line`. Cached: its dozen small launches take longer than attention over a short batch."""
    return relative_buckets(torch.arange(-far, far + 1), n_buckets, max_distance, bidirectional).to(device)
