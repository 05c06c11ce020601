"""Rounded copies of vectors, which the first pass multiplies: in bf16 for many queries, in 8 bits for a few.

For many queries the matrix product takes the time, and bf16 has the fastest. For a few it is reading the
vectors, and 8 bits, with a scale for each row, are half as many bytes.

Shapes: V vectors, Q queries, D vector width, P the width of copies in 8 bits: D, filled up with zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Vectors = NDArray[np.float32]

MOST_FOR_INT8 = 4
"""Queries beyond which a copy in bf16 is faster than one in 8 bits (docs/log/search.md)."""
_FEWEST_QUERIES = 16
_WIDTH_STEP = 32
_LONGEST = 1e15
"""Vectors beyond this length could overflow in the first pass."""


@dataclass(frozen=True)
class Rounding:
    """What rounding did to some vectors, measured.

    Attributes:
        length: largest length of a vector or of its copy.
        error: largest length of the difference of the two.
    """

    length: float = 0.0
    error: float = 0.0

    @classmethod
    def between(cls, vectors: Tensor, copies: Tensor) -> Rounding:
        """Compare vectors (V, D) with their copies, both in float64."""
        if not len(vectors):
            return cls()
        lengths = [float(torch.linalg.vector_norm(some, dim=1).max()) for some in (vectors, copies)]
        return cls(max(lengths), float(torch.linalg.vector_norm(vectors - copies, dim=1).max()))

    def __or__(self, other: Rounding) -> Rounding:
        """That of all vectors of both."""
        return Rounding(max(self.length, other.length), max(self.error, other.error))


@dataclass(frozen=True)
class Codes:
    """A rounded copy of vectors.

    Attributes:
        values: (V, D) float32 or bf16; or (V, P) int8.
        scales: (V,) bf16, what a row of int8 is multiplied by; None for the other dtypes.
        rounding: that made the copy.
    """

    values: Tensor
    scales: Tensor | None
    rounding: Rounding

    @property
    def query_dtype(self) -> torch.dtype:
        """The dtype that queries have to be rounded to, and that of the products."""
        return self.values.dtype if self.scales is None else torch.bfloat16

    def products(self, queries: Tensor, rows: slice) -> Tensor:
        """The products of some of the vectors with queries (Q, D) of `query_dtype`: (V, Q) of that dtype.

        Their sums are in float32.
        """
        values = self.values[rows]
        if self.scales is not None:
            filled = torch.nn.functional.pad(queries, (0, values.shape[1] - queries.shape[1]))
            found: Tensor = torch.ops.aten._weight_int8pack_mm(filled, values, self.scales[rows])
            return found.T.contiguous()
        # In this order a CPU's bf16 product takes half the time of the other. A few queries are filled up to
        # a number for which oneDNN's product is no slower than reading the vectors.
        few = len(queries)
        if few < _FEWEST_QUERIES:
            queries = torch.cat([queries, queries.new_zeros(_FEWEST_QUERIES - few, queries.shape[1])])
        return torch.mm(values, queries.T)[:, :few].contiguous()


def rounded(vectors: Vectors, dtype: torch.dtype) -> Codes:
    """A copy in float32, which is the vectors themselves, or in bf16.

    Raises:
        ValueError: a vector is not finite, or longer than 10¹⁵.
    """
    exact, wide = _checked(vectors)
    values = exact.to(dtype)
    return Codes(values, None, Rounding.between(wide, values.double()))


def rounded_to_int8(vectors: Vectors) -> Codes:
    """A copy of (V, P) in 8 bits.

    Raises:
        ValueError: a vector is not finite, or longer than 10¹⁵.
    """
    exact, wide = _checked(vectors)
    width = int8_width(exact.shape[1])
    scales = (exact.abs().amax(dim=1) / 127).to(torch.bfloat16)
    scales = scales.where(scales > 0, torch.ones_like(scales))
    codes = (exact / scales.float()[:, None]).round_().clamp_(-127, 127).to(torch.int8)
    rounding = Rounding.between(wide, codes.double().mul_(scales.double()[:, None]))
    return Codes(torch.nn.functional.pad(codes, (0, width - exact.shape[1])), scales, rounding)


def int8_width(dim: int) -> int:
    """P: PyTorch's product in 8 bits reads whole groups of numbers."""
    return -(-dim // _WIDTH_STEP) * _WIDTH_STEP


@cache
def fast_dtype() -> torch.dtype:
    """The dtype of the first pass for many queries: bf16 where this CPU has instructions for it, or float32.

    The bound needs sums in float32. oneDNN's are; a build of PyTorch without it may sum otherwise, so it is
    tried: in bf16 a sum of ones stops at 256.
    """
    has = torch.cpu.get_capabilities()
    if not (has.get("amx_bf16") or has.get("avx512_bf16")):
        return torch.float32
    ones = torch.ones(32, 1024, dtype=torch.bfloat16)
    return torch.bfloat16 if bool((ones @ ones.T == 1024).all()) else torch.float32


@cache
def has_int8() -> bool:
    """Whether PyTorch has a fast product of bf16 with 8 bits for this CPU, whose sums are in float32.

    That is tried, too: 257 is no number of bf16, and three times what it would be rounded to is not 772.
    """
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return False
    if not hasattr(torch.ops.aten, "_weight_int8pack_mm"):
        return False
    values = (torch.arange(512) < 257).to(torch.int8).expand(4, -1).contiguous()
    three = Codes(values, torch.full((4,), 3, dtype=torch.bfloat16), Rounding())
    found = three.products(torch.ones(1, 512, dtype=torch.bfloat16), slice(None))
    return bool((found == 772).all())


def tensor_of(array: NDArray[np.generic]) -> Tensor:
    """An array as a tensor over the same memory; one that cannot be written to is copied."""
    plain = np.asarray(array)
    return torch.from_numpy(plain if plain.flags.writeable else plain.copy())


def _checked(vectors: Vectors) -> tuple[Tensor, Tensor]:
    """Vectors as a tensor, and in float64."""
    exact = tensor_of(vectors)
    wide = exact.double()
    # Not a comparison of the largest with it, which a NaN would pass.
    if not bool((torch.linalg.vector_norm(wide, dim=1) <= _LONGEST).all()):
        raise ValueError(f"expected finite vectors, no longer than {_LONGEST:g}")
    return exact, wide
