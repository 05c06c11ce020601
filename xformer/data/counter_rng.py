"""Random numbers by place instead of by turn: a hash of what they are for.

A generator gives the next number to whoever asks next, so who asks, and in which order, changes everything
behind. A number that is a hash of its place (seed, step, text, token …) is the same whoever asks for it:
processes that share a step out compute it apart and agree.

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, with Stafford's constants, his "Mix13"),
once for each part of the place.

Shapes: those of the places, broadcast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bits = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11, _32 = (np.uint64(shift) for shift in (30, 27, 31, 11, 32))


def hashed(*place: ArrayLike) -> Bits:
    """64 random bits for each place.

    Args:
        place: whole numbers from 0 to 2^64 - 1, or arrays of them that broadcast.

    Returns:
        At least one dimension.
    """
    bits: Bits = np.zeros(1, dtype=np.uint64)
    for part in place:
        bits = fold(bits, part)
    return bits


def fold(bits: Bits, part: ArrayLike) -> Bits:
    """The bits of places one part longer: `fold(hashed(a), b)` is `hashed(a, b)`.

    Args:
        bits: of places, from `hashed`; at least one dimension.
        part: whole numbers that broadcast with them.
    """
    # Two parts of one place differ here, and all that follows is one to one.
    mixed: Bits = (bits ^ np.asarray(part).astype(np.uint64)) + _GOLDEN
    mixed ^= mixed >> _30
    mixed *= _FIRST
    mixed ^= mixed >> _27
    mixed *= _SECOND
    mixed ^= mixed >> _31
    return mixed


def uniform(bits: Bits) -> NDArray[np.float64]:
    """Numbers in [0, 1), each of 53 bits, as likely as any other."""
    return (bits >> _11).astype(np.float64) * 2.0**-53


def below(bits: Bits, limit: ArrayLike) -> NDArray[np.int64]:
    """Whole numbers from 0 to `limit` - 1; none is likelier than another by more than `limit` / 2^32.

    Args:
        bits: of places.
        limit: from 1 to 2^32, or an array of such.
    """
    return ((bits >> _32) * np.asarray(limit).astype(np.uint64) >> _32).astype(np.int64)
