"""A counter-based random number generator: each number is a hash of what it is for.

A sequential generator gives its next number to the next caller, so the order of the calls changes every later
number. Here a number depends only on its counters (seed, step, text, token …). Processes that share the work
of a step therefore compute their numbers separately and agree.

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, with Stafford's constants "Mix13"),
applied once for each counter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bits = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11, _32 = (np.uint64(shift) for shift in (30, 27, 31, 11, 32))


def random_bits(*counters: ArrayLike) -> Bits:
    """64 random bits for each combination of counters.

    Args:
        counters: whole numbers from 0 to 2^64 - 1, or arrays of them that broadcast.

    Returns:
        The bits, in the broadcast shape, with at least one dimension.
    """
    bits: Bits = np.zeros(1, dtype=np.uint64)
    for counter in counters:
        bits = fold_in(bits, counter)
    return bits


def fold_in(bits: Bits, counter: ArrayLike) -> Bits:
    """Add one more counter: `fold_in(random_bits(a), b)` equals `random_bits(a, b)`.

    Args:
        bits: from `random_bits`; at least one dimension.
        counter: whole numbers that broadcast with `bits`.
    """
    # The sum differs for different counters, and each step after it is one to one.
    mixed: Bits = (bits ^ np.asarray(counter).astype(np.uint64)) + _GOLDEN
    mixed ^= mixed >> _30
    mixed *= _FIRST
    mixed ^= mixed >> _27
    mixed *= _SECOND
    mixed ^= mixed >> _31
    return mixed


def uniform(bits: Bits) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), each with 53 random bits."""
    return (bits >> _11).astype(np.float64) * 2.0**-53


def integers(bits: Bits, limit: ArrayLike) -> NDArray[np.int64]:
    """Whole numbers from 0 to `limit` - 1. Their probabilities differ by at most `limit` / 2^32.

    Args:
        bits: from `random_bits`.
        limit: from 1 to 2^32, or an array of such numbers.
    """
    return ((bits >> _32) * np.asarray(limit).astype(np.uint64) >> _32).astype(np.int64)
