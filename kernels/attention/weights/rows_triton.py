"""The `triton` backend of `attention_rows`, as a custom operator. Importing it needs triton.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table; n chosen rows.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from ...device import padded_head_size
from ..relative import farthest_bucketed
from ..triton.backend import FUSED
from ..triton.operands import score_operands
from .arguments import score_rules
from .rows_torch import normalise_rows, sequences_of
from .statistics_triton import input_strides
from .tile_sizes import rows_tile
from .triton_kernels import attention_rows_parts


@torch.library.custom_op("xformer::attention_rows_triton", mutates_args=())
def rows_triton(
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
        (n, H, max_length_k) fp32.
    """
    rules = score_rules(causal, half_window, alibi_slopes, bias_table, bias_max_distance, softcap, scale)
    n_heads, head_size = q.shape[1:]
    found = torch.empty(rows.shape[0], n_heads, max_length_k, dtype=torch.float32, device=q.device)
    if found.numel() == 0 or q.shape[0] == 0:
        return found.zero_()
    tile = rows_tile(head_size)
    n_blocks = triton.cdiv(max_length_k, tile.block_n)
    anchor, rows = anchor.contiguous(), rows.contiguous()
    cu_seqlens_q, cu_seqlens_k = cu_seqlens_q.contiguous(), cu_seqlens_k.contiguous()
    with torch.cuda.device_of(q):
        # Queries may be farther from their keys than max_length_k, so that the bias line is made in full.
        scores = score_operands(rules, q.dtype, farthest_bucketed(bias_max_distance))
        attention_rows_parts[(n_blocks * n_heads * rows.shape[0],)](
            q=q, k=k, anchors=anchor, rows=rows, sequences=sequences_of(rows, cu_seqlens_q),
            cu_seqlens_q=cu_seqlens_q, cu_seqlens_k=cu_seqlens_k, parts=found, **input_strides(q, k),
            n_blocks=n_blocks, n_heads=n_heads, group=n_heads // k.shape[1], n_tokens=q.shape[0],
            width=max_length_k, **scores.arguments, **scores.constants,
            D=head_size, BLOCK_D=padded_head_size(head_size), BLOCK_N=tile.block_n,
            num_warps=tile.num_warps, num_stages=tile.num_stages, **FUSED,
        )  # fmt: skip
        return normalise_rows(found, anchor[rows.clamp(0, q.shape[0] - 1)], sink)


@rows_triton.register_fake
def _(q: Tensor, k: Tensor, anchor: Tensor, rows: Tensor, *rest: Any) -> Tensor:
    return q.new_empty((rows.shape[0], q.shape[1], rest[2]), dtype=torch.float32)
