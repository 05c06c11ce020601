"""The operations `copy` and `matmul`. The largest of each give the device's bandwidth and arithmetic rate.

Shapes: a copy of M numbers; a product of (N, N) by (N, N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from ..operation import Amount, Case, Composed, Contender, DeviceKind, Inputs, Prepared, random_normal
from ..record import Direction

GIB = 2**30


@dataclass(frozen=True)
class CopyCase(Case):
    """A tensor to copy.

    Attributes:
        n_bytes: of the tensor. A copy moves twice that.
    """

    n_bytes: int
    smallest: ClassVar = {"n_bytes": 64}


@dataclass(frozen=True)
class MatmulCase(Case):
    """A square product.

    Attributes:
        size: N.
    """

    size: int
    smallest: ClassVar = {"size": 4}


def ceiling_case(kind: DeviceKind) -> dict[str, str]:
    """The cases of `copy` and `matmul` that give the device's rates: the largest."""
    return {"copy": Copy().cases(kind, True)[0].name, "matmul": Matmul().cases(kind, True)[0].name}


class Copy(Composed[CopyCase]):
    """The operation `copy`: within the device's memory. Bytes read and bytes written are both counted."""

    name = "copy"
    directions = ("forward",)
    gpu_seconds = 2.0

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[CopyCase]:
        """The largest first; then sizes that fit into caches."""
        sizes = (
            [GIB, GIB // 4, GIB // 16, GIB // 64, GIB // 256] if kind == "cuda" else [GIB // 16, GIB // 64]
        )
        sizes = sizes[:1] if quick else sizes
        return [CopyCase(f"copy {size // 2**20} MiB", "bytes", size) for size in sizes]

    def contenders(self) -> Sequence[Contender[CopyCase]]:
        """PyTorch's function."""
        return [Contender("torch", self.define)]

    def draw(self, case: CopyCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw x (M,)."""
        normal = random_normal(seed, dtype, device)
        return Inputs({"x": normal(case.n_bytes // dtype.itemsize)}, {}, {})

    def define(self, case: CopyCase, inputs: Inputs) -> Prepared:
        """A copy into memory that is already allocated."""
        out = torch.empty_like(inputs.leaves["x"])
        return Prepared(out.copy_, inputs.leaves, (), ("out",))

    def amount(self, case: CopyCase, dtype: torch.dtype, direction: Direction) -> Amount:
        """Every byte read and written."""
        return Amount(0.0, 2.0 * case.n_bytes)


class Matmul(Composed[MatmulCase]):
    """The operation `matmul`: a square matrix product."""

    name = "matmul"
    directions = ("forward",)
    gpu_seconds = 3.0

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[MatmulCase]:
        """The largest first."""
        sizes = [8192, 4096, 2048, 1024] if kind == "cuda" else [1024, 256]
        sizes = sizes[:1] if quick else sizes
        return [MatmulCase(f"matmul {size}", "size", size) for size in sizes]

    def contenders(self) -> Sequence[Contender[MatmulCase]]:
        """PyTorch's function."""
        return [Contender("torch", self.define)]

    def draw(self, case: MatmulCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw x and y (N, N)."""
        normal = random_normal(seed, dtype, device)
        return Inputs({name: normal(case.size, case.size) for name in ("x", "y")}, {}, {})

    def define(self, case: MatmulCase, inputs: Inputs) -> Prepared:
        """The product x · y."""
        return Prepared(torch.matmul, inputs.leaves, (), ("out",))

    def amount(self, case: MatmulCase, dtype: torch.dtype, direction: Direction) -> Amount:
        """2·N³ operations."""
        return Amount(2.0 * case.size**3, 3.0 * case.size**2 * dtype.itemsize)
