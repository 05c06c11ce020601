"""The `triton` backend of `attention_statistics` and `attention_rows`, as custom operators; needs triton.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from ...device import Tile, padded_head_size, target_of
from ...operation import FUSED
from ..operators import weights_operator
from ..options import AttentionOptions
from ..relative_position import farthest_bucketed
from ..triton.backend import constants
from ..triton.operands import in_a_row, shared_operands
from .tile_sizes import StatisticsKernel, is_thin, partial_sums_a_row, rows_tile, statistics_tile
from .torch_backend import empty_rows, empty_statistics, normalise_rows, sequences_of
from .triton_kernels import attention_received, attention_row_statistics, attention_rows_parts


def _statistics(
    q: Tensor,
    k: Tensor,
    anchor: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
    max_length_q: int,
    max_length_k: int,
    allow_tf32: bool,
    block: Sequence[int] | None,
    marked: Tensor | None,
    received: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Statistics; arguments as in `attention_statistics`, already checked.

    `block` is (BLOCK_M, BLOCK_N) instead of the device's: tests want many blocks in short sequences.

    Returns:
        entropy, largest, distance and marked mass (T, H), and received (S, H), fp32; the last two have no
        elements where they were not asked for.
    """
    n_heads = q.shape[1]
    sink, marked = in_a_row(options.sink), in_a_row(marked)
    n_sequences = cu_seqlens_q.shape[0] - 1
    entropy, largest, distance, marked_mass, sums = empty_statistics(q, k, anchor, marked, received)
    if q.numel() == 0 or n_sequences == 0:
        return entropy, largest, distance, marked_mass, sums.zero_()
    share = torch.empty(anchor.shape, dtype=torch.float32, device=q.device) if received else None
    with torch.cuda.device_of(q):
        common = {
            **shared_operands(q, k, cu_seqlens_q, cu_seqlens_k, options, max(max_length_q, max_length_k)),
            "anchors": anchor.contiguous(), "share": share,
        }  # fmt: skip
        biased = options.bias_table is not None
        tile, compiled = _cut("row_statistics", q, max_length_q, biased, allow_tf32, block)
        n_blocks = triton.cdiv(max_length_q, tile.block_m)
        attention_row_statistics[(n_blocks * n_heads * n_sequences,)](
            **common, n_blocks=n_blocks, sink=sink, marked=marked, entropy=entropy, largest=largest,
            distance=distance, marked_mass=marked_mass,
            SINK=sink is not None, MARKED=marked is not None, SHARED=received,
            **compiled,
        )  # fmt: skip
        if received and k.numel() > 0:
            tile, compiled = _cut("received", q, max_length_k, biased, allow_tf32, block)
            n_blocks = triton.cdiv(max_length_k, tile.block_n)
            attention_received[(n_blocks * n_heads * n_sequences,)](
                **common, n_blocks=n_blocks, received=sums, **compiled,
            )  # fmt: skip
    return entropy, largest, distance, marked_mass, sums


statistics_triton = weights_operator("attention_statistics_triton", _statistics, empty_statistics)


def _cut(
    kernel: StatisticsKernel,
    q: Tensor,
    max_length: int,
    biased: bool,
    allow_tf32: bool,
    block: Sequence[int] | None,
) -> tuple[Tile, dict[str, Any]]:
    """A kernel's tile, and what it is compiled for."""
    target = target_of(q.device)
    tile = statistics_tile(kernel, target, q.shape[2], q.dtype, max_length, biased)
    if block is not None:
        tile = Tile(block[0], block[1], tile.num_warps, tile.num_stages)
    return tile, {
        **constants(q.shape[2], allow_tf32, tile),
        "THIN": is_thin(q.shape[2], q.dtype),
        "PARTS": partial_sums_a_row(target, q.dtype),
    }


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
    n_heads, head_size = q.shape[1:]
    found = empty_rows(q, k, anchor, rows, max_length_k)
    if found.numel() == 0 or q.shape[0] == 0:
        return found.zero_()
    tile = rows_tile(head_size)
    n_blocks = triton.cdiv(max_length_k, tile.block_n)
    anchor, rows = anchor.contiguous(), rows.contiguous()
    with torch.cuda.device_of(q):
        # Queries may be farther from their keys than max_length_k, so that the bias line is made in full.
        longest = farthest_bucketed(options.bias_max_distance)
        attention_rows_parts[(n_blocks * n_heads * rows.shape[0],)](
            **shared_operands(q, k, cu_seqlens_q, cu_seqlens_k, options, longest), anchors=anchor, rows=rows,
            sequences=sequences_of(rows, cu_seqlens_q), parts=found, n_blocks=n_blocks, n_tokens=q.shape[0],
            width=max_length_k, D=head_size, BLOCK_D=padded_head_size(head_size), BLOCK_N=tile.block_n,
            num_warps=tile.num_warps, num_stages=tile.num_stages, **FUSED,
        )  # fmt: skip
        return normalise_rows(found, anchor[rows.clamp(0, q.shape[0] - 1)], options.sink)


rows_triton = weights_operator("attention_rows_triton", _rows, empty_rows)
