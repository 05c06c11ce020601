"""Kinds of machines, and the block sizes of kernels on them.

Shapes: D head size; a tile is BLOCK_M queries by BLOCK_N keys.

Block sizes are pure functions of a `Target`, so that kernels can be compiled and checked for machines that
are not here.
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
    """A kind of machine, in Triton's terms.

    Attributes:
        backend: `cuda`, `hip`, or `cpu` for Triton's interpreter.
        arch: compute capability times ten, or the name of an AMD architecture.
        warp_size: threads of a warp.
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
    """Block sizes of a kernel.

    Attributes:
        block_m: queries of a block.
        block_n: keys of a block.
        num_warps: warps of a program.
        num_stages: stages of software pipelining: loads that are in flight at the same time.
    """

    block_m: int
    block_n: int
    num_warps: int
    num_stages: int


def target_of(device: torch.device) -> Target:
    """The target of a torch device.

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


def triton_absence(device_type: str) -> str | None:
    """The reason why Triton cannot be used on a kind of device; None if it can."""
    if device_type == "cpu" and _CPU.get() is not INTERPRETER:
        return None
    return _triton_absence(device_type)


# What `torch.compiler.assume_constant_result` does. Calling it would import all of torch's compiler, which
# takes longer than torch itself.
triton_absence._dynamo_marked_constant = True  # type: ignore[attr-defined]


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
    """D rounded up to a power of two, at least 16, as a matrix product in Triton needs it."""
    return max(16, 1 << (head_size - 1).bit_length())


def head_parts(head_size: int) -> tuple[int, int]:
    """D as the sum of two powers of two, (BLOCK_D, BLOCK_E), with little padding; BLOCK_E may be 0.

    72 becomes (64, 16) and 96 (64, 32), where one power of two would be 128; 120 becomes (128, 0), since two
    parts of 64 are no less.
    """
    whole = padded_head_size(head_size)
    rest = head_size - whole // 2
    if rest <= 0 or padded_head_size(rest) >= whole // 2:
        return whole, 0
    return whole // 2, padded_head_size(rest)
