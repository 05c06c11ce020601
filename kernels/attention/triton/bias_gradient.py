"""The gradient of a T5 table, inside the kernel of dQ: diagonal sums, then buckets; no atomics.

Shapes: R rows of the bias table; S = BLOCK_M = BLOCK_N, the side of a tile.

The table's entry of bucket r is added to each score whose distance j - i falls into r, so its gradient is

    dbias[r] = sum of dS[i, j] over all (i, j) with bucket(j - i) = r

A tile of S x S scores has 2S - 1 distances, each along a diagonal. Sorting S^2 numbers into R buckets would
take R S^2 operations; summing the diagonals first takes one pass over the tile, and leaves 2S numbers to
sort. For the pass, column j is turned by j, cyclically, so that a diagonal becomes a row:

    turned[c, j] = dS[(j - c) mod S, j]      at j >= c on diagonal c, at j < c on diagonal c - S

Where the walk goes from one tile to the next, S keys on, diagonal c of the old one and c - S of the new one
have the same distance: the former sums are carried along, and S numbers are sorted a tile, not 2S. A program
sums its R buckets in registers and writes them once; the sum over programs is made in a fixed order.

The kernel of dQ computes dS, one head in each program, and has one accumulator. A program of dK and dV sums
over the heads of a group, which have columns of their own in the table, and its two accumulators leave no
registers.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def diagonal_sums(tile, SIZE: tl.constexpr):
    """Sums of a square tile along its diagonals.

    Returns:
        (SIZE,) sums over column - row = c, and (SIZE,) sums over column - row = c - SIZE; c from 0.
    """
    diagonal = tl.arange(0, SIZE)[:, None]
    column = tl.arange(0, SIZE)[None, :]
    turned = tl.gather(tile, (column - diagonal) & (SIZE - 1), 0)
    ahead = tl.sum(tl.where(column >= diagonal, turned, 0.0), 1)
    behind = tl.sum(tl.where(column < diagonal, turned, 0.0), 1)
    return ahead, behind


@triton.jit
def add_to_buckets(table, sums, nearest, buckets, far, SIZE: tl.constexpr, R: tl.constexpr):
    """Add sums over the distances nearest, nearest + 1 ... to the buckets that these fall into.

    Args:
        table: (R,) what the buckets hold.
        sums: (SIZE,).
        nearest: distance of the first.
        buckets: bucket of each distance from -far to far; all beyond share those of the ends.
        far: see above.
        SIZE: how many sums.
        R: rows of the table, rounded up to a power of two.
    """
    distance = nearest + tl.arange(0, SIZE)
    bucket = tl.load(buckets + far + tl.minimum(tl.maximum(distance, -far), far))
    hits = bucket[:, None] == tl.arange(0, R)[None, :]
    return table + tl.sum(tl.where(hits, sums[:, None], 0.0), 0)
