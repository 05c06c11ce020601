"""Arrays of a page: deflated, in base64, decoded in the browser when they are looked at.

Letters: n tokens of a text. `assets/data.js` is the other side of each format here.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = (255, 127, 63, 47, 31, 23, 15, 11, 7, 5, 3, 1)
"""To how many steps above zero a head can be quantised."""
_POWER = 0.75
_TYPES = {"uint8": "u1", "int8": "i1", "uint16": "<u2", "int16": "<i2", "int32": "<i4", "float32": "<f4"}


@dataclass(frozen=True)
class Quantised:
    """Attention weights as few small numbers.

    A weight is `scale[i] * table[codes[i, j]]`: the largest of its row, times what its code stands for.

    Attributes:
        levels: codes go from 0 to `levels`.
        scale: (n) fp32, the largest weight of each row.
        table: (levels + 1) fp32, the mean of the weights that share a code, by their row's largest.
        codes: (n, n) uint8.
    """

    levels: int
    scale: NDArray[np.float32]
    table: NDArray[np.float32]
    codes: NDArray[np.uint8]

    def decode(self) -> NDArray[np.float32]:
        """The weights (n, n), as the browser will have them."""
        return self.scale[:, None] * self.table[self.codes]

    @property
    def bits(self) -> int:
        """How many bits a code takes before it is deflated: 1, 2, 4 or 8."""
        return next(bits for bits in (1, 2, 4, 8) if self.levels < 2**bits)

    def to_bytes(self) -> bytes:
        """Scale, table and codes, which lie in bytes from the lowest bits upwards; deflated."""
        flat, per_byte = self.codes.ravel(), 8 // self.bits
        padded = np.zeros(-(-flat.size // per_byte) * per_byte, dtype=np.uint8)
        padded[: flat.size] = flat
        shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(self.bits)
        packed = np.bitwise_or.reduce(padded.reshape(-1, per_byte) << shifts, axis=1, dtype=np.uint8)
        head = self.scale.astype("<f4").tobytes() + self.table.astype("<f4").tobytes()
        return _deflate(head + packed.tobytes())


def likely_sizes(weights: NDArray[np.float32]) -> list[float]:
    """About how many bytes a head (n, n) takes at each of `LEVELS`, by the entropy of its codes."""
    found = []
    fine = quantise(weights, LEVELS[0])
    counts = np.bincount(fine.codes.ravel(), minlength=fine.levels + 1)
    for levels in LEVELS:
        coarse = np.rint(levels * np.arange(fine.levels + 1) / fine.levels).astype(np.int64)
        shares = np.bincount(coarse, weights=counts) / weights.size
        shares = shares[shares > 0]
        bits = -(shares * np.log2(shares)).sum() * weights.size
        found.append(float(bits) / 8 + 4 * (len(weights) + levels + 1))
    return found


def quantise(weights: NDArray[np.float32], levels: int = 255) -> Quantised:
    """Give each weight one of a few codes, finer for small weights than for large ones.

    The code is round(levels · (w / largest of the row)^¾). Eight bits on a straight scale would make all
    weights below 1/510 zero, which in a row of 512 tokens may be every one. On a scale of roots the same
    bytes carry larger errors, of the largest weight and of all together: measured on MiniLM, 494 tokens,
    0.22 against 0.27 a row at 39 and 35 kB a head.

    Args:
        weights: (n, n), not negative.
        levels: from 1 to 255.
    """
    scale = weights.max(axis=1, initial=0).astype(np.float32)
    relative = np.divide(weights, scale[:, None], out=np.zeros_like(weights), where=scale[:, None] > 0)
    codes = np.rint(levels * relative**_POWER).astype(np.uint8)
    counts = np.bincount(codes.ravel(), minlength=levels + 1)
    sums = np.bincount(codes.ravel(), weights=relative.ravel(), minlength=levels + 1)
    middle = (np.arange(levels + 1) / levels) ** (1 / _POWER)
    table = np.where(counts > 0, sums / np.maximum(counts, 1), middle).astype(np.float32)
    return Quantised(levels, scale, table, codes)


class Blobs:
    """The arrays of one page, by their numbers."""

    def __init__(self) -> None:
        self._elements: list[tuple[dict[str, object], bytes]] = []

    def __len__(self) -> int:
        return len(self._elements)

    def add(self, array: NDArray[np.generic]) -> int:
        """Keep an array of any shape as it is, and return its number. fp64 and fp16 become fp32.

        Raises:
            ValueError: the browser has no array of this kind.
        """
        if array.dtype in (np.float64, np.float16):
            array = array.astype(np.float32)
        kind = array.dtype.name
        if kind not in _TYPES:
            raise ValueError(f"an array of {kind}; expected one of {', '.join(_TYPES)}")
        told: dict[str, object] = {"kind": kind, "shape": list(array.shape)}
        return self._keep(told, _deflate(np.ascontiguousarray(array, _TYPES[kind]).tobytes()))

    def add_weights(self, weights: NDArray[np.float32], budget: int) -> tuple[int, Quantised]:
        """Keep the weights of one head, as finely as fits.

        Args:
            weights: (n, n), not negative.
            budget: the most bytes it may take, before base64; what is coarsest is kept in any case.

        Returns:
            Its number, and what the browser will have.
        """
        # Deflating takes long, so only what may fit is tried: it does up to half better than entropy alone.
        possible = [
            levels for levels, size in zip(LEVELS, likely_sizes(weights), strict=True) if size <= 2 * budget
        ]
        for levels in possible or LEVELS[-1:]:
            made = quantise(weights, levels)
            data = made.to_bytes()
            if len(data) <= budget:
                break
        told: dict[str, object] = {
            "kind": "weights",
            "shape": list(weights.shape),
            "levels": made.levels,
            "bits": made.bits,
        }
        return self._keep(told, data), made

    def size(self, number: int) -> int:
        """Bytes of a blob before base64."""
        return len(self._elements[number][1])

    def elements(self) -> Iterator[str]:
        """One `<script>` for each, which no browser runs; `data.js` reads them by their ids."""
        for number, (told, data) in enumerate(self._elements):
            about = json.dumps(told, separators=(",", ":"))
            text = base64.b64encode(data).decode("ascii")
            yield f'<script type="text/plain" id="blob-{number}" data-about=\'{about}\'>{text}</script>'

    def _keep(self, told: dict[str, object], data: bytes) -> int:
        self._elements.append((told, data))
        return len(self._elements) - 1


def small_map(weights: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    """A head's map with few cells: the largest weight that falls into each, 255 for the largest of all.

    The largest and not the mean, so that a line one token wide stays to be seen.

    Args:
        weights: (n, n), n at least 1.
        side: the most cells a side; there are min(n, side).
    """
    n = len(weights)
    side = min(n, side)
    starts: Sequence[int] = [cell * n // side for cell in range(side)]
    rows = np.maximum.reduceat(weights, starts, axis=0)
    cells = np.maximum.reduceat(rows, starts, axis=1)
    return np.rint(255 * cells / max(float(cells.max()), 1e-30)).astype(np.uint8)


def _deflate(data: bytes) -> bytes:
    return zlib.compress(data, 6)
