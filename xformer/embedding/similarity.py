"""Cosines of vectors.

Shapes: A and B vectors, D vector width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError

_AT_ONCE = 4096
"""Rows that are computed together: bounds the memory beside the inputs and the result."""


def cosines(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float32]:
    """The cosine of each vector of `a` with each of `b`, (A, B) float32; 0 where a vector is zero.

    Args:
        a: (A, D).
        b: (B, D).

    Raises:
        InputError: they are not two matrices of one width.
    """
    for name, one in (("a", a), ("b", b)):
        if one.ndim != 2:
            raise InputError(f"{name}: expected texts or vectors (E, D), got an array of shape {one.shape}")
    if a.shape[1] != b.shape[1]:
        raise InputError(f"a, b: expected vectors of one width, got {a.shape[1]} and {b.shape[1]}")
    found = np.empty((len(a), len(b)), dtype=np.float32)
    for first in range(0, len(b), _AT_ONCE):
        columns = _unit(b[first : first + _AT_ONCE]).T
        for row in range(0, len(a), _AT_ONCE):
            found[row : row + _AT_ONCE, first : first + _AT_ONCE] = _unit(a[row : row + _AT_ONCE]) @ columns
    return found


def rows_of_numbers(given: Sequence[object]) -> NDArray[np.float32]:
    """Lists or arrays of numbers as vectors (E, D); a list of numbers is one vector, (1, D).

    Raises:
        InputError: they are not numbers, or differ in length.
    """
    refused = InputError(
        f"expected texts, or vectors of one width, got a list that begins with {repr(given[0])[:40]}"
    )
    try:
        found = np.asarray(given)
    except (TypeError, ValueError):
        raise refused from None
    if found.dtype.kind not in "fiu":
        raise refused
    return np.atleast_2d(found.astype(np.float32))


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    vectors = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(vectors, np.where(length > 0, length, 1), dtype=np.float32)
    return unit
