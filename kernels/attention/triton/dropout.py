"""The dropout mask of `dropout.py` in Triton: the same bits.

Shapes: any; T query tokens, H heads, N keys of one sequence.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _mix(x):
    """See `dropout.mix`; here integers have 32 bits, and products wrap by themselves."""
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D
    x = x ^ (x >> 15)
    x = x * 0x846CA68B
    return x ^ (x >> 16)


@triton.jit
def row_state(row, seed_low, seed_high):
    """The part of the hash that depends on the row (int64, `query token * H + head`): computed once a row."""
    low = row.to(tl.uint32) ^ seed_low.to(tl.uint32, bitcast=True)
    high = (row >> 32).to(tl.uint32) ^ seed_high.to(tl.uint32, bitcast=True)
    return _mix(_mix(low) ^ _mix(high))


@triton.jit
def dropout_mask(state, keys, threshold):
    """Which weights stay.

    Args:
        state: from `row_state`, as a row or column.
        keys: indices of keys in their sequence, as a column or row.
        threshold: how many of 2^32 words drop a weight, as int32 bits.
    """
    return _mix(state ^ _mix(keys.to(tl.uint32))) >= threshold.to(tl.uint32, bitcast=True)
