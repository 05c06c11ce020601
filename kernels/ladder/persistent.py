"""Rung 6, persistent: as many programs as the machine holds, each computing one work item after another.

Shapes: T tokens, B sequences, H heads, D head size, N tokens of one sequence; a work item is BLOCK_M queries
of one head of one sequence, with its keys BLOCK_N at a time. BLOCK_D is D rounded up to a power of two.

A grid has room for cdiv(max_length, BLOCK_M) blocks of every sequence. In a ragged batch most of them are
empty: programs that start, read two numbers and end. Here only the work items that exist are numbered, and
program p of P computes the items p, p + P, p + 2P, ...

Sequence b has cdiv(N_b, BLOCK_M) * H items. Their running sum, computed on the device, holds where the items
of each sequence end, and an item finds its sequence in it by bisection. The host needs neither the number of
items nor any length; it only sets P. If the longest sequences come first in a batch, long items start first,
and short items at the end fill the gaps.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .descriptors import attend_block, prepare
from .exp2 import LOG2_E
from .shared import attend_by, tile_options

# Programs of 4 warps (D up to 64) or 8 whose registers a multiprocessor holds; `counted.py` counts them.
PROGRAMS = {4: 2, 8: 1}
INTERPRETED_PROGRAMS = 3


@triton.jit
def _sequence_of(item, item_ends, n_sequences):
    """The first sequence whose items end after `item`."""
    low = 0
    high = n_sequences - 1
    while low < high:
        middle = (low + high) // 2
        before = tl.load(item_ends + middle) <= item
        low = tl.where(before, middle + 1, low)
        high = tl.where(before, high, middle)
    return low


@triton.jit(do_not_specialize=["n_heads", "n_sequences"])
def ladder_persistent(
    q, k, v, out, cu_seqlens, n_heads, scale, item_ends, n_sequences,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute attention of every item p, p + P, ... of program p. Grid: (P,)."""
    n_items = tl.load(item_ends + n_sequences - 1)
    for item in range(tl.program_id(0), n_items, tl.num_programs(0)):
        sequence = _sequence_of(item, item_ends, n_sequences)
        start = tl.load(cu_seqlens + sequence).to(tl.int64)
        length = (tl.load(cu_seqlens + sequence + 1) - start).to(tl.int32)
        n_blocks = tl.cdiv(length, BLOCK_M)
        nth = item - (tl.load(item_ends + sequence) - n_blocks * n_heads)
        attend_block(
            q, k, v, out, start, length, nth % n_blocks, nth // n_blocks, n_heads, scale,
            D, BLOCK_D, BLOCK_M, BLOCK_N,
        )  # fmt: skip


def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_length: int) -> Tensor:
    """Attention of each sequence to itself; arguments and result as in `naive.attend`.

    Raises:
        ValueError: q, k and v are not what `check_inputs` asks for, or rows that the copy engine cannot
            take.
    """
    prepare(q, k, v, cu_seqlens, max_length)
    options = tile_options(q)
    return attend_by(
        ladder_persistent, q, k, v, cu_seqlens, max_length, LOG2_E * q.shape[2] ** -0.5, options,
        item_ends(cu_seqlens, q.shape[1], options["BLOCK_M"]), cu_seqlens.shape[0] - 1,
        programs=_programs(q.device, options["num_warps"]),
    )  # fmt: skip


def item_ends(cu_seqlens: Tensor, n_heads: int, block_m: int) -> Tensor:
    """(B,) int32: the number of work items up to and including each sequence. The same for every layer."""
    blocks = (cu_seqlens.diff() + block_m - 1) // block_m
    return (blocks * n_heads).cumsum(0, dtype=torch.int32)


def _programs(device: torch.device, num_warps: int) -> int:
    """The number of programs that the machine holds at the same time."""
    if device.type == "cpu":
        return INTERPRETED_PROGRAMS
    return torch.cuda.get_device_properties(device).multi_processor_count * PROGRAMS[num_warps]
