"""Random vectors of length 1 in groups, written in blocks.

Shapes: N vectors, D vector width.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_GROUPS = 1_000
_AT_ONCE = 16_384
_SPREAD = 0.8


def some_vectors(count: int, dim: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Blocks of (n, D) float32, N in all; those of other seeds lie around the same centres."""
    centres = np.random.default_rng(0).standard_normal((_GROUPS, dim)).astype(np.float32)
    rng = np.random.default_rng((1, seed))
    for start in range(0, count, _AT_ONCE):
        rows = min(_AT_ONCE, count - start)
        found = _SPREAD * rng.standard_normal((rows, dim)).astype(np.float32)
        found += centres[rng.integers(0, _GROUPS, rows)]
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        yield found
