"""Vectors beside a rounded copy, and how far a product of two copies may be from the product of the vectors.

A first pass multiplies the copies; only pairs that this bound leaves in doubt are multiplied in full.

Let v be a vector and v' its copy. Then `q·v - q'·v' = q·(v - v') + (q - q')·v'`, and by Cauchy and Schwarz

    |q·v - q'·v'| ≤ |q| |v - v'| + |q - q'| |v'|

to which the first pass adds the rounding of its own sum of D products, at most `2 D 2⁻²⁴ |q'| |v'|` in
float32 in any order. The lengths of the differences are measured, not estimated, so the bound holds for any
vectors.

Shapes: N vectors, D vector width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Vectors = NDArray[np.float32]

_ROWS_AT_ONCE = 16_384
_LONGEST = 1e15
"""Vectors beyond this length could overflow in the first pass."""


@cache
def fast_dtype() -> torch.dtype:
    """The dtype of the first pass: bf16 where this CPU has instructions for it, else float32.

    The bound needs sums in float32. oneDNN's are; a build of PyTorch without it may sum otherwise, so it is
    tried: in bf16 a sum of ones stops at 256.
    """
    has = torch.cpu.get_capabilities()
    if not (has.get("amx_bf16") or has.get("avx512_bf16")):
        return torch.float32
    ones = torch.ones(32, 1024, dtype=torch.bfloat16)
    return torch.bfloat16 if bool((ones @ ones.T == 1024).all()) else torch.float32


@dataclass(frozen=True)
class Coded:
    """Vectors and their rounded copy.

    Attributes:
        vectors: (N, D); may be mapped from a file, of which only the rows in doubt are read.
        codes: (N, D) the copy; the vectors themselves where the first pass is in float32.
        length: largest length of a vector or of its copy.
        error: largest length of the difference of the two.
    """

    vectors: Vectors
    codes: Tensor
    length: float
    error: float

    @classmethod
    def of(cls, vectors: Vectors, dtype: torch.dtype | None = None) -> Coded:
        """Round vectors, to `fast_dtype()` if none is given.

        Raises:
            ValueError: a vector is not finite, or longer than 10¹⁵.
        """
        dtype = fast_dtype() if dtype is None else dtype
        codes = tensor_of(vectors) if dtype == torch.float32 else torch.empty(vectors.shape, dtype=dtype)
        length = error = 0.0
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            block, one_length, one_error = rounded(vectors[rows], dtype)
            length, error = max(length, one_length), max(error, one_error)
            if dtype != torch.float32:
                codes[rows] = block
        return cls(vectors, codes, length, error)

    def __len__(self) -> int:
        return len(self.vectors)

    def rows(self, start: int, stop: int) -> Coded:
        """Some of the vectors, in their order."""
        return Coded(self.vectors[start:stop], self.codes[start:stop], self.length, self.error)

    def in_doubt(self, other: Coded) -> float:
        """How far the first pass's product of one of these with one of `other` may be from the true one.

        The rounding of the true product to float32 is allowed for, too.
        """
        width = self.vectors.shape[1]
        copies = self.length * other.error + self.error * other.length
        sums = (2 * width + 4) * 2.0**-24 * self.length * other.length
        return (copies + sums) * (1 + 1e-6) + 1e-30


def rounded(vectors: Vectors, dtype: torch.dtype) -> tuple[Tensor, float, float]:
    """The copy of some vectors, the largest length of either, and of their difference.

    Raises:
        ValueError: a vector is not finite, or longer than 10¹⁵.
    """
    exact = tensor_of(vectors)
    codes = exact.to(dtype)
    wide = exact.double()
    lengths = torch.linalg.vector_norm(wide, dim=1)
    # Not `lengths.max() > _LONGEST`, which a NaN would pass.
    if not bool((lengths <= _LONGEST).all()):
        raise ValueError(f"expected finite vectors, no longer than {_LONGEST:g}")
    if not len(lengths):
        return codes, 0.0, 0.0
    copies = codes.double()
    length = max(float(lengths.max()), float(torch.linalg.vector_norm(copies, dim=1).max()))
    return codes, length, float(torch.linalg.vector_norm(wide.sub_(copies), dim=1).max())


def tensor_of(array: NDArray[np.generic]) -> Tensor:
    """An array as a tensor over the same memory; one that cannot be written to is copied."""
    plain = np.asarray(array)
    return torch.from_numpy(plain if plain.flags.writeable else plain.copy())
