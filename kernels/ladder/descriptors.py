"""Rung 5, descriptors: the hardware copies tiles, and stops where a sequence ends.

Shapes: T tokens, B sequences, H heads, D head size, N tokens of one sequence; a tile is BLOCK_M queries by
BLOCK_N keys. BLOCK_D is D rounded up to a power of two.

In the rung before, every thread computes the address and the mask of each element that it fetches. A
descriptor holds these once: where a matrix of N rows and D columns begins, the distance of its rows, and the
size of the boxes to copy, BLOCK_N by BLOCK_D. Then one thread asks for a box by its corner, and the copy
engine of sm_90 and later (TMA) brings it to shared memory, with zeros where the box reaches beyond the
matrix; a stored box leaves out what lies beyond. Registers that held addresses and masks are free, and so are
the threads.

Each program makes its descriptors, because the matrix begins and ends where its sequence does. One descriptor
for the whole packed batch would be made only once, but a box at the end of a sequence would contain tokens of
the next one, and a NaN there times weight 0 is NaN.

The scores of the keys beyond the end, which are 0 now, must still be hidden: e^0 is not 0.

Targets without a copy engine compile this to what the rung before does.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .exp2 import LOG2_E
from .shared import attend_by, check_inputs, tile_options
from .tiles import update

ALIGNMENT = 16


@triton.jit
def attend_block(
    q, k, v, out, start, length, block, head, n_heads, scale,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute attention of BLOCK_M queries of one head of the sequence that begins at token `start`."""
    stride = n_heads * D
    first = start * stride + head * D
    queries = tl.make_tensor_descriptor(q + first, [length, D], [stride, 1], [BLOCK_M, BLOCK_D])
    keys = tl.make_tensor_descriptor(k + first, [length, D], [stride, 1], [BLOCK_N, BLOCK_D])
    values = tl.make_tensor_descriptor(v + first, [length, D], [stride, 1], [BLOCK_N, BLOCK_D])
    outputs = tl.make_tensor_descriptor(out + first, [length, D], [stride, 1], [BLOCK_M, BLOCK_D])
    query = queries.load([block * BLOCK_M, 0])
    acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    whole = length // BLOCK_N * BLOCK_N
    for begin in range(0, whole, BLOCK_N):
        score = tl.dot(query, tl.trans(keys.load([begin, 0])), input_precision="ieee")
        acc, row_max, row_sum = update(acc, row_max, row_sum, score, values.load([begin, 0]), scale)
    if whole < length:
        score = tl.dot(query, tl.trans(keys.load([whole, 0])), input_precision="ieee")
        seen = whole + tl.arange(0, BLOCK_N) < length
        score = tl.where(seen[None, :], score, float("-inf"))
        acc, row_max, row_sum = update(acc, row_max, row_sum, score, values.load([whole, 0]), scale)
    outputs.store([block * BLOCK_M, 0], (acc / row_sum[:, None]).to(out.dtype.element_ty))


@triton.jit(do_not_specialize=["n_heads"])
def ladder_descriptors(
    q, k, v, out, cu_seqlens, n_heads, scale,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Compute attention of BLOCK_M queries of one head. Grid: (cdiv(max_length, BLOCK_M), H, B)."""
    block, head, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start = tl.load(cu_seqlens + sequence).to(tl.int64)
    length = (tl.load(cu_seqlens + sequence + 1) - start).to(tl.int32)
    if block * BLOCK_M >= length:
        return
    attend_block(q, k, v, out, start, length, block, head, n_heads, scale, D, BLOCK_D, BLOCK_M, BLOCK_N)


def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_length: int) -> Tensor:
    """Attention of each sequence to itself; arguments and result as in `naive.attend`.

    Raises:
        ValueError: q, k and v are not what `check_inputs` asks for, or rows that the copy engine cannot
            take.
    """
    prepare(q, k, v, cu_seqlens, max_length)
    scale = LOG2_E * q.shape[2] ** -0.5
    return attend_by(ladder_descriptors, q, k, v, cu_seqlens, max_length, scale, tile_options(q))


def prepare(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_length: int) -> None:
    """Check the inputs, and give Triton the memory in which programs build their descriptors.

    Raises:
        ValueError: as `attend`. The copy engine takes rows of a head that begin at a multiple of 16 bytes.
    """
    check_inputs(q, k, v, cu_seqlens, max_length)
    for x in (q, k, v):
        row = x.shape[2] * x.element_size()
        if row % ALIGNMENT or x.data_ptr() % ALIGNMENT:
            raise ValueError(
                f"q, k, v: expected rows of a multiple of {ALIGNMENT} bytes, beginning at one, got {row} "
                f"bytes at {x.data_ptr() % ALIGNMENT}; the tiles rung takes any"
            )
    device = q.device
    triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8, device=device))
