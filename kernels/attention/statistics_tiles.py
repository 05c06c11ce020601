"""Block sizes of the statistics kernels, and why.

Shapes: D head size; a tile is BLOCK_M queries by BLOCK_N keys.
"""

from __future__ import annotations

from typing import Literal

import torch

from ..device import Target, Tile, head_parts, padded_head_size

StatisticsKernel = Literal["row_statistics", "received"]


def statistics_tile(
    kernel: StatisticsKernel, target: Target, head_size: int, dtype: torch.dtype, max_length: int
) -> Tile:
    """The tile of a statistics kernel.

    Args:
        kernel: which of the two.
        target: for which machine.
        head_size: D.
        dtype: of q and k.
        max_length: of the sequences along the side that a program owns: queries, or keys for `received`. A
            tile is not made larger than that.

    Returns:
        Block sizes, warps and stages.
    """
    if target.backend == "cpu":
        return Tile(32, 32, 1, 1)
    width = 1 << (sum(head_parts(head_size)) - 1).bit_length()
    if dtype == torch.float32:
        own, other, warps, stages = (32, 32, 4, 1) if width <= 64 else (16, 32, 8, 1)
    else:
        own, other, warps, stages = (128, 64, 4, 3) if width <= 128 else (64, 64, 4, 2)
    own = min(own, max(16, 1 << (max_length - 1).bit_length()) if max_length > 0 else 16)
    return Tile(own, other, warps, stages) if kernel == "row_statistics" else Tile(other, own, warps, stages)


def is_thin(head_size: int, dtype: torch.dtype) -> bool:
    """Whether products run over 64 columns at a time; see `tiles.multiply_thin`."""
    return dtype == torch.float32 and head_size > 64


def rows_tile(head_size: int) -> Tile:
    """The tile of the kernel of chosen rows: one query, and keys that fit into registers."""
    return Tile(1, max(16, 4096 // padded_head_size(head_size)), 4, 1)
