"""Rotary embedding in Triton: queries and keys in one launch. Importing this needs triton.

Shapes: T tokens, H query heads, G key heads, D head size, P positions. A program takes ROWS heads of one
token or of neighbouring tokens, all queries or all keys; half of D is padded to BLOCK.

It reads and writes each element once, 2T(H + G)D in all. The kernel gathers the rows of the tables by
position: all heads of a token read one row from the cache, and no (T, D/2) copy is made.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..device import Target
from ..operation import FUSED, Operation, ceil_div, on, on_device, power_of_two
from .autograd import differentiate, fake, save

WARPS = 4


@triton.jit
def _turn_heads(
    x, out, rows, row_stride, head_stride, column_stride, n_rows, n_heads,
    positions, cos, sin, n_positions, sign,
    D: tl.constexpr, BLOCK: tl.constexpr, INTERLEAVED: tl.constexpr,
):  # fmt: skip
    """Rotate ROWS of the T * heads rows of one tensor."""
    token = rows // n_heads
    position = tl.load(positions + token, mask=rows < n_rows, other=0).to(tl.int64)
    known = (position >= 0) & (position < n_positions)
    pair = tl.arange(0, BLOCK)
    at = position[:, None] * (D // 2) + pair[None, :]
    inside = (rows < n_rows)[:, None] & (pair < D // 2)[None, :]
    readable = inside & known[:, None]
    c = tl.load(cos + at, mask=readable, other=float("nan")).to(tl.float32)
    s = tl.load(sin + at, mask=readable, other=float("nan")).to(tl.float32) * sign
    source = x + token.to(tl.int64) * row_stride + (rows % n_heads).to(tl.int64) * head_stride
    target = out + rows.to(tl.int64) * D
    if INTERLEAVED:
        column = tl.arange(0, 2 * BLOCK)
        whole = (rows < n_rows)[:, None] & (column < D)[None, :]
        both = tl.load(source[:, None] + column[None, :] * column_stride, mask=whole, other=0.0).to(
            tl.float32
        )
        first, second = tl.split(tl.reshape(both, [rows.shape[0], BLOCK, 2]))
        turned = tl.reshape(
            tl.join(first * c - second * s, second * c + first * s), [rows.shape[0], 2 * BLOCK]
        )
        tl.store(target[:, None] + column[None, :], turned.to(out.dtype.element_ty), mask=whole)
    else:
        near = source[:, None] + pair[None, :] * column_stride
        first = tl.load(near, mask=inside, other=0.0).to(tl.float32)
        second = tl.load(near + (D // 2) * column_stride, mask=inside, other=0.0).to(tl.float32)
        to = target[:, None] + pair[None, :]
        tl.store(to, (first * c - second * s).to(out.dtype.element_ty), mask=inside)
        tl.store(to + D // 2, (second * c + first * s).to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["n_blocks_q", "n_tokens", "n_positions", "sign"])
def rotary_turn(
    q, k, out_q, out_k, positions, cos, sin,
    stride_qt, stride_qh, stride_qd, stride_kt, stride_kh, stride_kd,
    n_blocks_q, n_tokens, n_positions, sign,
    H: tl.constexpr, G: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr,
    INTERLEAVED: tl.constexpr,
):  # fmt: skip
    """Rotate by `sign` times the angle. Grid: (T H / ROWS + T G / ROWS,), queries first."""
    program = tl.program_id(0)
    if program < n_blocks_q:
        rows = program * ROWS + tl.arange(0, ROWS)
        _turn_heads(
            q, out_q, rows, stride_qt, stride_qh, stride_qd, n_tokens * H, H,
            positions, cos, sin, n_positions, sign, D, BLOCK, INTERLEAVED,
        )  # fmt: skip
    else:
        rows = (program - n_blocks_q) * ROWS + tl.arange(0, ROWS)
        _turn_heads(
            k, out_k, rows, stride_kt, stride_kh, stride_kd, n_tokens * G, G,
            positions, cos, sin, n_positions, sign, D, BLOCK, INTERLEAVED,
        )  # fmt: skip


def block_of(target: Target, head_size: int) -> tuple[int, int]:
    """BLOCK and ROWS: eight pairs for a thread, so that it loads 16 bytes at a time."""
    block = power_of_two(max(head_size // 2, 8))
    return block, 8 if target.backend == "cpu" else max(1, WARPS * target.warp_size * 8 // block)


def _turn_by(
    q: Tensor, k: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, interleaved: bool, sign: float
) -> tuple[Tensor, Tensor]:
    tokens, heads, size = q.shape
    kv_heads = k.shape[1]
    out_q = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    out_k = torch.empty(k.shape, dtype=k.dtype, device=k.device)
    block, rows = on_device(block_of, q.device, size)
    blocks_q, blocks_k = ceil_div(tokens * heads, rows), ceil_div(tokens * kv_heads, rows)
    if blocks_q + blocks_k and size:
        with on(q.device):
            rotary_turn[(blocks_q + blocks_k,)](
                q, k, out_q, out_k, positions, cos, sin, *q.stride(), *k.stride(),
                blocks_q, tokens, cos.shape[0], sign,
                H=max(heads, 1), G=max(kv_heads, 1), D=size, BLOCK=block, ROWS=rows, INTERLEAVED=interleaved,
                num_warps=WARPS, **FUSED,
            )  # fmt: skip
    return out_q, out_k


def _forward(
    q: Tensor, k: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, interleaved: bool
) -> tuple[Tensor, Tensor]:
    return _turn_by(q, k, positions, cos, sin, interleaved, 1.0)


def _backward(
    grad_q: Tensor, grad_k: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, interleaved: bool
) -> tuple[Tensor, Tensor]:
    return _turn_by(grad_q, grad_k, positions, cos, sin, interleaved, -1.0)


turn = Operation(
    "rotary_triton",
    _forward,
    _backward,
    fake=fake,
    fake_backward=fake,
    save=save,
    differentiate=differentiate,
    visible=2,
)
