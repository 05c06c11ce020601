"""What a machine can do, and the block sizes that suit it.

Shapes: D head size; a tile is BLOCK_M queries by BLOCK_N keys.

Everything here is a pure function of a `Target`, so that kernels can be compiled and checked for machines
that are not at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

Kernel = Literal["forward", "key_value", "query", "query_table"]


@dataclass(frozen=True)
class Target:
    """A kind of machine, in Triton's words.

    Attributes:
        backend: `cuda`, `hip`, or `cpu` for Triton's interpreter.
        arch: compute capability times ten, or the name of an AMD architecture.
        warp_size: threads that move together.
    """

    backend: Literal["cuda", "hip", "cpu"]
    arch: int | str
    warp_size: int

    @property
    def name(self) -> str:
        """`sm_90`, `gfx942`, `cpu`."""
        return f"sm_{self.arch}" if self.backend == "cuda" else str(self.arch)


INTERPRETER = Target("cpu", "cpu", 1)
AMPERE = Target("cuda", 80, 32)
HOPPER = Target("cuda", 90, 32)
BLACKWELL = Target("cuda", 100, 32)
CDNA3 = Target("hip", "gfx942", 64)


@dataclass(frozen=True)
class Tile:
    """How a kernel is cut up.

    Attributes:
        block_m: queries.
        block_n: keys.
        num_warps: warps that share a program.
        num_stages: how many loads are in flight.
    """

    block_m: int
    block_n: int
    num_warps: int
    num_stages: int


def target_of(device: torch.device) -> Target:
    """The target that a torch device is.

    Raises:
        ValueError: Triton has no backend for it.
    """
    if device.type == "cpu":
        return INTERPRETER
    if device.type != "cuda":
        raise ValueError(f"device: expected cpu or cuda, got {device.type}")
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip:
        return Target("hip", properties.gcnArchName.split(":")[0], properties.warp_size)
    return Target("cuda", properties.major * 10 + properties.minor, 32)


def padded_head_size(head_size: int) -> int:
    """D rounded up to a power of two, at least 16: what a matrix product in Triton takes."""
    return max(16, 1 << (head_size - 1).bit_length())


def head_parts(head_size: int) -> tuple[int, int]:
    """D as the sum of two powers of two, (BLOCK_D, BLOCK_E), from 16 up or the latter 0, with little waste.

    72 becomes (64, 16) and 96 (64, 32), where one power of two would be 128; 120 becomes (128, 0), since two
    parts of 64 are no less.
    """
    whole = padded_head_size(head_size)
    rest = head_size - whole // 2
    if rest <= 0 or padded_head_size(rest) >= whole // 2:
        return whole, 0
    return whole // 2, padded_head_size(rest)


def attention_tile(
    kernel: Kernel, target: Target, head_size: int, dtype: torch.dtype, max_length: int
) -> Tile:
    """The tile of an attention kernel.

    Found by compiling (`compile_check`): near the largest that keeps its accumulators in registers, with
    nothing spilled on sm_80, sm_90 and sm_100, and its operands in shared memory. Not yet tuned by running.
    Tensor cores of sm_90 and sm_100 read operands from shared memory, so larger tiles fit there; fp32 runs on
    ordinary arithmetic units, from registers, and needs smaller ones.

    Args:
        kernel: which; `query_table` is `query` with the gradient of a T5 table, whose tiles are square.
        target: for which machine.
        head_size: D.
        dtype: of q, k and v.
        max_length: of the sequences along the side that a program owns: queries, or keys for `key_value`. A
            tile is not made larger than that.

    Returns:
        Block sizes, warps and stages.
    """
    width = 1 << (sum(head_parts(head_size)) - 1).bit_length()
    if target.backend == "cpu":
        return Tile(32, 32, 1, 1)
    if kernel == "query_table":
        side = 64 if dtype != torch.float32 and width <= 64 else 32
        return Tile(side, side, 8, 1)
    tile = _single(kernel, target, width) if dtype == torch.float32 else _half(kernel, target, width)
    longest = max(16, 1 << (max_length - 1).bit_length()) if max_length > 0 else 16
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
        return Tile(128, 64, 8, 3) if width == 128 else Tile(64, 32, 8, 2)
    if kernel == "query":
        if width <= 64:
            return Tile(128, 64, 8, 2)
        return Tile(64, 64, 8, 2) if width == 128 else Tile(32, 32, 4 if target.arch == 100 else 8, 1)
    # Two accumulators and four products: the kernel that registers bind.
    if width <= 64 and target.arch == 100:
        return Tile(32, 64, 4 if width <= 32 else 8, 1)
    if width <= 64:
        return Tile(16 if target.arch == 80 else 32, 128, 8, 1)
    if width == 128:
        return Tile(16, 64, 8, 2 if target.arch == 90 else 1)
    return Tile(16, 32, 8, 1)


def _half_hip(kernel: Kernel, width: int) -> Tile:
    """fp16 and bf16 on AMD: 64 KiB of shared memory, 512 registers a thread."""
    if width <= 64:
        return Tile(64, 128, 4, 1) if kernel == "key_value" else Tile(128, 64, 4, 1)
    if width == 128:
        return Tile(32, 64, 4, 1) if kernel == "key_value" else Tile(64, 32, 4, 1)
    return Tile(16, 32, 4, 1) if kernel == "key_value" else Tile(32, 16, 4, 1)


def _single(kernel: Kernel, target: Target, width: int) -> Tile:
    """fp32, whose products run from registers."""
    if target.backend == "hip" and width == 256 and kernel != "query":
        return Tile(16, 16, 4, 1)
    if kernel == "forward":
        return Tile(32, 32, 4, 1) if width <= 64 else Tile(16, 32, 8, 1)
    if kernel == "query":
        if width <= 64:
            return Tile(32, 32, 8, 1)
        return Tile(16, 16, 4 if target.arch == 80 else 8, 1)
    if width == 256:
        return Tile(16, 32, 8, 1) if target.arch == 80 else Tile(16, 16, 16, 1)
    if width == 128 or (width <= 32 and target.arch == 80):
        return Tile(16, 16, 8, 1)
    return Tile(16, 32, 8, 1) if target.arch == 90 else Tile(32, 16, 4, 1)
