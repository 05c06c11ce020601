"""Vectors beside rounded copies, and how far a product of copies may be from the product of the vectors.

A first pass multiplies the copies; only pairs that this bound leaves in doubt are multiplied in full.

Let v be a vector and v' its copy. Then `q·v - q'·v' = q·(v - v') + (q - q')·v'`, and by Cauchy and Schwarz

    |q·v - q'·v'| ≤ |q| |v - v'| + |q - q'| |v'|

to which the first pass adds the rounding of its own sum of D products, at most `2 D 2⁻²⁴ |q'| |v'|` in
float32 in any order. The lengths of the differences are measured, not estimated, so the bound holds for any
vectors.

Shapes: N vectors, D vector width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from xformer.embedding.search.codes import (
    MOST_FOR_INT8,
    Codes,
    Rounding,
    Vectors,
    fast_dtype,
    rounded,
    tensor_of,
)

_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Coded:
    """Vectors and their rounded copies.

    Attributes:
        vectors: (N, D); may be mapped from a file, of which only the rows in doubt are read.
        codes: the copy that the first pass multiplies.
        few: the one for a few queries, if there is one.
    """

    vectors: Vectors
    codes: Codes
    few: Codes | None = None

    @classmethod
    def of(cls, vectors: Vectors, dtype: torch.dtype | None = None) -> Coded:
        """Round vectors, to `fast_dtype()` if none is given.

        Raises:
            ValueError: a vector is not finite, or longer than 10¹⁵.
        """
        dtype = fast_dtype() if dtype is None else dtype
        values = tensor_of(vectors) if dtype == torch.float32 else torch.empty(vectors.shape, dtype=dtype)
        rounding = Rounding()
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            block = rounded(vectors[rows], dtype)
            rounding |= block.rounding
            if dtype != torch.float32:
                values[rows] = block.values
        return cls(vectors, Codes(values, None, rounding))

    def __len__(self) -> int:
        return len(self.vectors)

    def for_queries(self, count: int) -> Coded:
        """The same with the copy that is the fastest for so many queries."""
        if self.few is None or count > MOST_FOR_INT8:
            return self
        return replace(self, codes=self.few)

    def in_doubt(self, other: Coded) -> float:
        """How far the first pass's product of one of these with one of `other` may be from the true one.

        The rounding of the true product to float32 is allowed for, too.
        """
        width = self.vectors.shape[1]
        own, others = self.codes.rounding, other.codes.rounding
        copies = own.length * others.error + own.error * others.length
        sums = (2 * width + 4) * 2.0**-24 * own.length * others.length
        return (copies + sums) * (1 + 1e-6) + 1e-30
