"""The `triton` backend of `attention_statistics`, as a custom operator. Importing it needs triton.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from ...device import Tile, target_of
from ..triton.backend import constants
from ..triton.operands import in_a_row, score_operands
from .arguments import score_rules
from .tile_sizes import StatisticsKernel, is_thin, partial_sums_a_row, statistics_tile
from .triton_kernels import attention_received, attention_row_statistics


@torch.library.custom_op("xformer::attention_statistics_triton", mutates_args=())
def statistics_triton(
    q: Tensor,
    k: Tensor,
    anchor: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_length_q: int,
    max_length_k: int,
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
    allow_tf32: bool,
    block: Sequence[int] | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Statistics; arguments as in `attention_statistics`, already checked.

    Args:
        q: (T, H, D).
        k: (S, G, D).
        anchor: (T, H).
        cu_seqlens_q: (B+1,).
        cu_seqlens_k: (B+1,).
        max_length_q: no sequence has more queries.
        max_length_k: no sequence has more keys.
        causal: what shapes the scores, from here …
        half_window: …
        alibi_slopes: …
        bias_table: …
        bias_max_distance: …
        softcap: …
        scale: … to here.
        sink: (H,) or None.
        marked: (S,) bool or None.
        received: whether to sum up what keys receive.
        allow_tf32: fp32 products may round their factors to tf32.
        block: (BLOCK_M, BLOCK_N) instead of the device's; for tests, which want many blocks in short
            sequences.

    Returns:
        entropy, largest, distance and marked mass (T, H), and received (S, H), fp32; the last two have no
        elements where they were not asked for.
    """
    rules = score_rules(causal, half_window, alibi_slopes, bias_table, bias_max_distance, softcap, scale)
    n_heads = q.shape[1]
    sink, marked = in_a_row(sink), in_a_row(marked)
    cu_seqlens_q, cu_seqlens_k = cu_seqlens_q.contiguous(), cu_seqlens_k.contiguous()
    n_sequences = cu_seqlens_q.shape[0] - 1
    shapes = _shapes(q, k, marked, received)
    found = [torch.empty(shape, dtype=torch.float32, device=q.device) for shape in shapes]
    if q.numel() == 0 or n_sequences == 0:
        return found[0], found[1], found[2], found[3], found[4].zero_()
    share = torch.empty(anchor.shape, dtype=torch.float32, device=q.device) if received else None
    with torch.cuda.device_of(q):
        scores = score_operands(rules, q.dtype, max(max_length_q, max_length_k))
        common = {
            "q": q, "k": k, "anchors": anchor.contiguous(), "share": share,
            "cu_seqlens_q": cu_seqlens_q, "cu_seqlens_k": cu_seqlens_k, **input_strides(q, k),
            "n_heads": n_heads, "group": n_heads // k.shape[1], **scores.arguments, **scores.constants,
        }  # fmt: skip
        tile, compiled = _cut("row_statistics", q, max_length_q, bias_table is not None, allow_tf32, block)
        n_blocks = triton.cdiv(max_length_q, tile.block_m)
        attention_row_statistics[(n_blocks * n_heads * n_sequences,)](
            **common, n_blocks=n_blocks, sink=sink, marked=marked, entropy=found[0], largest=found[1],
            distance=found[2], marked_mass=found[3],
            SINK=sink is not None, MARKED=marked is not None, SHARED=received,
            **compiled,
        )  # fmt: skip
        if received and k.numel() > 0:
            tile, compiled = _cut("received", q, max_length_k, bias_table is not None, allow_tf32, block)
            n_blocks = triton.cdiv(max_length_k, tile.block_n)
            attention_received[(n_blocks * n_heads * n_sequences,)](
                **common, n_blocks=n_blocks, received=found[4], **compiled,
            )  # fmt: skip
    return found[0], found[1], found[2], found[3], found[4]


@statistics_triton.register_fake
def _(q: Tensor, k: Tensor, anchor: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    marked, received = rest[12], rest[13]
    return tuple(q.new_empty(shape, dtype=torch.float32) for shape in _shapes(q, k, marked, received))


def input_strides(q: Tensor, k: Tensor) -> dict[str, int]:
    """`stride_qt`, `stride_qh`, `stride_qd` of q, (T, H, D), and the same of k."""
    return {
        f"stride_{name}{axis}": stride
        for name, x in (("q", q), ("k", k))
        for axis, stride in zip("thd", x.stride(), strict=True)
    }


def _shapes(q: Tensor, k: Tensor, marked: Tensor | None, received: bool) -> list[tuple[int, ...]]:
    """Shapes of entropy, largest, distance, marked mass and received."""
    rows = (q.shape[0], q.shape[1])
    return [
        rows,
        rows,
        rows,
        (0,) if marked is None else rows,
        (k.shape[0], q.shape[1]) if received else (0,),
    ]


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
