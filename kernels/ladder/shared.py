"""The check of inputs, the launches and the block sizes that rungs have in common.

Shapes: T tokens, B sequences, H heads, D head size; a tile is BLOCK_M queries by BLOCK_N keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from ..device import Target, Tile, padded_head_size, target_of

MOST_SEQUENCES = 65535
ONE_QUERY = {"BLOCK_N": 64, "num_warps": 4}
_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def check_inputs(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_length: int) -> None:
    """Raise a ValueError that says what was expected: equal, contiguous (T, H, D), and cu_seqlens (B+1,).

    Contiguous, so that a kernel finds row t of head h at (t * H + h) * D and needs no strides.
    """
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.dim() != 3 or x.shape != q.shape or not x.is_contiguous():
            raise ValueError(
                f"{name}: expected contiguous (tokens, heads, head size), all three equal, got "
                f"{tuple(x.shape)} with strides {x.stride()}"
            )
        if x.dtype not in _DTYPES or x.dtype != q.dtype:
            raise ValueError(f"{name}: expected float32, float16 or bfloat16, all three equal, got {x.dtype}")
    if cu_seqlens.dim() != 1 or cu_seqlens.shape[0] < 1:
        raise ValueError(f"cu_seqlens: expected shape (sequences + 1,), got {tuple(cu_seqlens.shape)}")
    if cu_seqlens.shape[0] - 1 > MOST_SEQUENCES:
        raise ValueError(
            f"cu_seqlens: expected at most {MOST_SEQUENCES} sequences, what the last axis of a grid holds, "
            f"got {cu_seqlens.shape[0] - 1}"
        )
    if max_length < 0:
        raise ValueError(f"max_length: expected a length from 0, got {max_length}")


def attend_by(
    kernel: Any,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens: Tensor,
    max_length: int,
    scale: float,
    options: Mapping[str, int],
    *more: Any,
    programs: int | None = None,
) -> Tensor:
    """Attention by a kernel whose programs take one head and one query, or a block of queries.

    Args:
        kernel: the `triton.jit` function.
        q: (T, H, D).
        k: (T, H, D).
        v: (T, H, D).
        cu_seqlens: (B+1,).
        max_length: no sequence is longer.
        scale: factor of q·k, in the kernel's unit.
        options: block sizes, warps and stages, by the kernel's and Triton's names.
        more: arguments that the kernel takes after the scale.
        programs: the most programs, in a grid of one axis; left out, one for each block, head and sequence.

    Returns:
        (T, H, D) in q's dtype.

    Raises:
        ValueError: q, k and v are not what `check_inputs` asks for.
    """
    check_inputs(q, k, v, cu_seqlens, max_length)
    out = torch.empty_like(q)
    n_heads, head_size = q.shape[1:]
    grid: tuple[int, ...] = (-(-max_length // options.get("BLOCK_M", 1)), n_heads, cu_seqlens.shape[0] - 1)
    if 0 in grid:
        return out
    if programs is not None:
        grid = (min(prod(grid), programs),)
    kernel[grid](
        q, k, v, out, cu_seqlens.to(torch.int32), n_heads, scale, *more,
        D=head_size, BLOCK_D=padded_head_size(head_size), **options, enable_fp_fusion=True,
    )  # fmt: skip
    return out


def tile_options(q: Tensor) -> dict[str, int]:
    """The block sizes of `tile_for` for queries (T, H, D), as arguments of a kernel."""
    tile = tile_for(target_of(q.device), q.shape[2], q.dtype)
    return {
        "BLOCK_M": tile.block_m,
        "BLOCK_N": tile.block_n,
        "num_warps": tile.num_warps,
        "num_stages": tile.num_stages,
    }


def tile_for(target: Target, head_size: int, dtype: torch.dtype) -> Tile:
    """Block sizes of the tiles rung and all later ones, the same so that their steps can be compared.

    fp16 and bf16: the most queries whose output, scores and operands stay in the registers of 4 warps (D up
    to 64) or 8. fp32 products run from registers and take smaller tiles; even then head sizes over 64
    spill. The ladder is about half precision.
    """
    if target.backend == "cpu":
        return Tile(32, 32, 1, 1)
    width = padded_head_size(head_size)
    if target.backend == "hip":
        return Tile(128, 64, 4, 1) if width <= 64 and dtype != torch.float32 else Tile(32, 32, 4, 1)
    if dtype == torch.float32:
        return Tile(32, 32, 4, 1) if width <= 64 else Tile(16, 32, 8, 1)
    if width <= 64:
        return Tile(128, 64, 8 if target.arch == 80 else 4, 3)
    return Tile(128, 64, 8, 2) if width == 128 else Tile(64, 32, 8, 2)
