"""What a machine can do, and the block sizes that suit it.

Shapes: D head size; a tile is BLOCK_M queries by BLOCK_N keys.

Block sizes are pure functions of a `Target`, so that kernels can be compiled and checked for machines that
are not at hand.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch


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

_CPU = ContextVar("target of CPU tensors", default=INTERPRETER)


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
        return _CPU.get()
    if device.type != "cuda":
        raise ValueError(f"device: expected cpu or cuda, got {device.type}")
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip:
        return Target("hip", properties.gcnArchName.split(":")[0], properties.warp_size)
    return Target("cuda", properties.major * 10 + properties.minor, 32)


@contextmanager
def cpu_as(target: Target) -> Iterator[None]:
    """Treat CPU tensors as tensors of another machine, for code that records launches without making them."""
    token = _CPU.set(target)
    try:
        yield
    finally:
        _CPU.reset(token)


@torch.compiler.assume_constant_result
def triton_absence(device_type: str) -> str | None:
    """Why Triton cannot be used on a kind of device, in words; None if it can."""
    if device_type == "cpu" and _CPU.get() is not INTERPRETER:
        return None
    return _triton_absence(device_type)


@cache
def _triton_absence(device_type: str) -> str | None:
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device_type == "cuda" or (device_type == "cpu" and interpreted):
        return None
    hint = (
        "; on a CPU, its interpreter needs TRITON_INTERPRET=1 from the start" if device_type == "cpu" else ""
    )
    return f"no Triton for device {device_type!r}{hint}"


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
