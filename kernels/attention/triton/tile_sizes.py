"""Block sizes of the attention kernels, and why.

Shapes: D head size; a tile is BLOCK_M queries by BLOCK_N keys.
"""

from __future__ import annotations

from typing import Literal

import torch

from ...device import Target, Tile, head_parts

Kernel = Literal["forward", "key_value", "query", "query_table"]


def attention_tile(
    kernel: Kernel,
    target: Target,
    head_size: int,
    dtype: torch.dtype,
    max_length: int,
    burden: int = 0,
    biased_mask: bool = False,
) -> Tile:
    """The tile of an attention kernel.

    Found by compiling (`compile.check`) with Triton 3.6.0 and 3.9.0: near the largest that keeps its
    accumulators in registers, with nothing spilled on sm_80, sm_90 and sm_100, and its operands in shared
    memory. Not yet tuned by running.

    Tensor cores of sm_90 and sm_100 read operands from shared memory, so larger tiles fit there; fp32 runs on
    ordinary arithmetic units, from registers, and needs smaller ones.

    Args:
        kernel: which; `query_table` is `query` with the gradient of a T5 table, whose tiles are square.
        target: for which machine.
        head_size: D.
        dtype: of q, k and v.
        max_length: of the sequences along the side that a program owns: queries, or keys for `key_value`. A
            tile is not made larger than that.
        burden: how many registers options take; see `AttentionOptions.burden`.
        biased_mask: scores have a T5 bias and a mask, which take more together than the sum of both.

    Returns:
        Block sizes, warps and stages.
    """
    columns = sum(head_parts(head_size))
    width = 1 << (columns - 1).bit_length()
    if target.backend == "cpu":
        return Tile(32, 32, 1, 1)
    longest = max(16, 1 << (max_length - 1).bit_length()) if max_length > 0 else 16
    if kernel == "query_table":
        small = dtype == torch.float32 or width > 64 or target.arch == 80 or target.backend == "hip"
        side = min(32 if small else 64, longest)
        return Tile(side, side, 4 if small and width <= 64 else 8, 1)
    tile = _single(kernel, target, columns) if dtype == torch.float32 else _half(kernel, target, width)
    if burden and target.backend == "cuda" and dtype != torch.float32:
        tile = _burdened(kernel, target, columns, tile, burden, biased_mask)
    if burden > 3 and target.backend == "hip" and kernel == "key_value" and dtype != torch.float32:
        # All options at once take more than the 512 registers that a thread has, by four.
        tile = Tile(tile.block_m, min(tile.block_n, 64), tile.num_warps, tile.num_stages)
    if kernel == "key_value":
        return Tile(tile.block_m, min(tile.block_n, longest), tile.num_warps, tile.num_stages)
    return Tile(min(tile.block_m, longest), tile.block_n, tile.num_warps, tile.num_stages)


def _half(kernel: Kernel, target: Target, width: int) -> Tile:
    """fp16 and bf16."""
    if target.backend == "hip":
        return _half_hip(kernel, width)
    if kernel == "forward":
        if width <= 64:
            return Tile(128, 64, 4 if target.arch == 90 else 8, 3)
        return Tile(128, 64, 8, 2 if target.arch == 100 else 3) if width == 128 else Tile(64, 32, 8, 2)
    if kernel == "query":
        if width <= 64:
            # On sm_80 64 keys of 32 columns leave not one of 128 registers, with which two programs fit.
            return Tile(128, 32 if width <= 32 and target.arch == 80 else 64, 8, 2)
        return Tile(64, 64, 8, 2) if width == 128 else Tile(32, 32, 4 if target.arch == 100 else 8, 1)
    # Two accumulators and four products: the kernel that registers bind.
    if width <= 64 and target.arch == 100:
        return Tile(32, 64, 4 if width <= 32 else 8, 1)
    if width <= 64:
        return Tile(16 if target.arch == 80 else 32, 128, 8, 1)
    # On sm_90 a second stage saves registers under Triton 3.9, but costs more of them under 3.6.
    return Tile(16, 64 if width == 128 else 32, 8, 1)


def _burdened(
    kernel: Kernel, target: Target, columns: int, tile: Tile, burden: int, biased_mask: bool
) -> Tile:
    """fp16 and bf16 where biases, a soft cap or dropout take registers too."""
    width = 1 << (columns - 1).bit_length()
    if kernel == "forward":
        rows = min(tile.block_m, 64) if width == 128 and target.arch != 90 else tile.block_m
        # A bias is fetched ahead with the keys, and takes more shared memory than they.
        return Tile(rows, tile.block_n, 8, 2)
    if kernel == "key_value" and burden > 1 and width <= 64 and target.arch != 100:
        return Tile(16, 32, 4, 1) if burden > 2 and target.arch == 80 else Tile(16, 64, 8, 1)
    if kernel == "key_value" and width == 128 and target.arch != 100:
        # 64 keys' two accumulators leave too little for these. 32 keys do without wgmma, which takes 64 rows.
        if burden > 3:
            return Tile(16 if target.arch == 80 else 32, 32, 8, 1)
        if target.arch == 90 and (biased_mask or columns == 128):
            return Tile(32, 32, 8, 1)
    return tile


def _half_hip(kernel: Kernel, width: int) -> Tile:
    """fp16 and bf16 on AMD: 64 KiB of shared memory, 512 registers a thread."""
    if width <= 64:
        return Tile(64, 128, 4, 1) if kernel == "key_value" else Tile(128, 64, 4, 1)
    if width == 128:
        return Tile(32, 64, 4, 1) if kernel == "key_value" else Tile(64, 32, 4, 1)
    return Tile(16, 32, 4, 1) if kernel == "key_value" else Tile(32, 16, 4, 1)


def _single(kernel: Kernel, target: Target, columns: int) -> Tile:
    """fp32, whose products run from registers."""
    width = 1 << (columns - 1).bit_length()
    if target.backend == "hip":
        return _single_hip(kernel, columns)
    if kernel == "forward":
        return Tile(32, 32, 4, 1) if width <= 64 else Tile(16, 16 if width == 256 else 32, 8, 1)
    if kernel == "query":
        return Tile(32 if columns < 128 else 16, 32, 8, 1)
    if width == 256:
        return Tile(16, 32, 8, 1) if target.arch == 80 else Tile(16, 16, 16, 1)
    if width == 128 and columns <= 80 and target.arch == 80:
        # With 16 x 32, or without a second stage, ptxas holds to too few registers or needs too many.
        return Tile(32, 16, 8, 2)
    if width == 128:
        return Tile(16, 32 if columns < 128 else 16, 8, 1)
    if width <= 32:
        return Tile(16, 64, 8, 1)
    return Tile(16, 16 if target.arch == 100 else 32, 8, 1)


def _single_hip(kernel: Kernel, columns: int) -> Tile:
    """fp32 on AMD."""
    width = 1 << (columns - 1).bit_length()
    if kernel == "query":
        return Tile(32, 32, 8, 1) if width <= 64 else Tile(16, 16, 8, 1)
    if width == 256:
        return Tile(16, 16, 4, 1)
    if kernel == "forward":
        return Tile(32, 32, 4, 1) if width <= 64 else Tile(16, 32, 8, 1)
    return Tile(32, 16, 4, 1) if width <= 64 else Tile(16, 32 if columns < 128 else 16, 8, 1)
