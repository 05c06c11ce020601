"""Block sizes of the kernels of statistics and rows, and why.

Shapes: D head size; a tile is BLOCK_M queries by BLOCK_N keys.
"""

from __future__ import annotations

from typing import Literal

import torch

from ...device import Target, Tile, head_parts, padded_head_size

StatisticsKernel = Literal["row_statistics", "received"]


def statistics_tile(
    kernel: StatisticsKernel,
    target: Target,
    head_size: int,
    dtype: torch.dtype,
    max_length: int,
    biased: bool,
) -> Tile:
    """The tile of a statistics kernel.

    Found by compiling: nothing spills on sm_80, sm_90 and sm_100, and several programs share a
    multiprocessor, so that while one waits for its product another raises powers. Not yet tuned by running.

    Args:
        kernel: which of the two.
        target: for which machine.
        head_size: D.
        dtype: of q and k.
        max_length: of the sequences along the side that a program owns: queries, or keys for `received`. A
            tile is not made larger than that.
        biased: with a T5 table, whose addresses take registers of their own.

    Returns:
        Block sizes, warps and stages.
    """
    if target.backend == "cpu":
        return Tile(32, 32, 1, 1)
    width = 1 << (sum(head_parts(head_size)) - 1).bit_length()
    if dtype == torch.float32:
        own, other, warps, stages = _single(width)
    else:
        own, other, warps, stages = _half(kernel, target, width)
    if biased and kernel == "row_statistics" and _has_tensor_memory(target):
        own, other = min(own, 64), 16  # a thread has a whole row, and an address for each key in it
    elif biased and other > 16:
        other //= 2
    longest = max(16, 1 << (max_length - 1).bit_length()) if max_length > 0 else 16
    if longest < own:
        own, warps = longest, max(1, warps * longest // own)
    return Tile(own, other, warps, stages) if kernel == "row_statistics" else Tile(other, own, warps, stages)


def _half(kernel: StatisticsKernel, target: Target, width: int) -> tuple[int, int, int, int]:
    """fp16 and bf16: what a program owns and walks over at a time, warps, stages."""
    if target.backend == "hip":
        return (128, 64, 4, 1) if width <= 64 else (64, 32, 4, 1)
    if kernel == "received":
        return (128, 32, 4, 3) if width <= 64 else (64, 32, 4, 3 if width == 128 else 2)
    if width == 256:
        return 64, 32, 4, 2
    if _has_wgmma(target):
        return 128, 64, 8, 3
    return (128, 64, 4, 3) if _has_tensor_memory(target) else (64, 64, 4, 3)


def _single(width: int) -> tuple[int, int, int, int]:
    """fp32, whose products run from registers."""
    return (32, 32, 4, 1) if width <= 64 else (16, 32, 8, 1)


def partial_sums_a_row(target: Target, dtype: torch.dtype) -> int:
    """The number of partial sums that each row of a tile keeps; see `triton_kernels.partial_sums`.

    A product's columns that are 8 apart lie in one thread on sm_90, and 16 apart on sm_80, where two warps
    share a row. On sm_100 a thread holds a whole row, and so it may be with fp32, and on AMD.
    """
    if target.backend == "cpu":
        return 8
    if target.backend == "hip" or dtype == torch.float32 or _has_tensor_memory(target):
        return 1
    return 8 if _has_wgmma(target) else 16


def is_thin(head_size: int, dtype: torch.dtype) -> bool:
    """Whether products run over 64 columns at a time; see `tiles.multiply_thin`."""
    return dtype == torch.float32 and head_size > 64


def rows_tile(head_size: int) -> Tile:
    """The tile of the kernel of chosen rows: one query, and keys that fit into registers."""
    return Tile(1, max(16, 4096 // padded_head_size(head_size)), 4, 1)


def _has_wgmma(target: Target) -> bool:
    return target.backend == "cuda" and 90 <= int(target.arch) < 100


def _has_tensor_memory(target: Target) -> bool:
    return target.backend == "cuda" and 100 <= int(target.arch) < 120
