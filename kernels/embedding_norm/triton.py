"""Embedding, position and LayerNorm in Triton, with repeatable gradients. Importing it needs triton.

Shapes: T tokens, V rows of a table, C width, N chunks of CHUNK sorted tokens, P programs.

Forward, rows are gathered, added and normalised in one kernel: TC elements read of each table, TC written.
The backward pass gathers them again, so that nothing of that size is kept, and writes the gradient of each
sum.

A table's gradient adds up the rows of equal tokens. Atomic additions would come in any order. So the tokens
are sorted (stably, on the device, without waiting for it), and equal tokens become neighbours: a run. One
program adds up a chunk of sorted tokens in order. A run within one chunk is complete. Of a longer run every
chunk leaves a share: its `tail` where the run begins, its `head` where the run continues; and a second kernel
adds these up, in order again. A frequent token takes no longer than its number of chunks.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..norm.triton import (
    Plan,
    add_shares,
    empty_shares,
    input_gradient,
    moments,
    normalise,
    plan,
    store_moments,
)
from ..operation import FUSED, Operation, ceil_div, on, on_device, power_of_two

CHUNK = 32
CHUNKS_AT_ONCE = 16
WARPS = 4


@triton.jit
def _gather(table, index, columns, rows, n_rows, n_known, C: tl.constexpr):
    """Rows of a table in fp32; NaN where the index is not in it, 0 outside the matrix."""
    which = tl.load(index + rows, mask=rows < n_rows, other=0).to(tl.int64)
    known = ((which >= 0) & (which < n_known))[:, None]
    inside = (rows < n_rows)[:, None] & (columns < C)[None, :]
    at = table + which[:, None] * C + columns[None, :]
    value = tl.load(at, mask=inside & known, other=float("nan")).to(tl.float32)
    return tl.where(inside, value, 0.0)


@triton.jit
def _embedded(
    tokens, positions, table, position_table, columns, rows, n_rows, n_tokens, n_positions, C: tl.constexpr
):
    """The sum of both rows in fp32, rounded as it would be if it were kept."""
    value = _gather(table, tokens, columns, rows, n_rows, n_tokens, C)
    if positions is not None:
        value += _gather(position_table, positions, columns, rows, n_rows, n_positions, C)
        value = value.to(table.dtype.element_ty).to(tl.float32)
    return value


@triton.jit(do_not_specialize=["n_rows", "n_tokens", "n_positions"])
def embedding_norm_forward(
    tokens, positions, table, position_table, weight, bias, out, stats, n_rows, n_tokens, n_positions, eps,
    C: tl.constexpr, BLOCK_C: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Embed and normalise ROWS tokens. Grid: (T / ROWS,)."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, BLOCK_C)
    value = _embedded(
        tokens, positions, table, position_table, columns, rows, n_rows, n_tokens, n_positions, C
    )
    mean, rstd = moments(value, columns, eps, C, BLOCK_C, True)
    scale = tl.load(weight + columns, mask=columns < C, other=0.0).to(tl.float32)
    result = normalise(value, mean, rstd, scale, bias, columns, C)
    at = out + rows.to(tl.int64)[:, None] * C + columns[None, :]
    inside = (rows < n_rows)[:, None] & (columns < C)[None, :]
    tl.store(at, result.to(out.dtype.element_ty), mask=inside)
    store_moments(stats, rows, n_rows, mean, rstd, True)


@triton.jit(do_not_specialize=["n_rows", "n_tokens", "n_positions"])
def embedding_norm_backward(
    grad, tokens, positions, table, position_table, weight, stats, grad_rows, shares,
    stride_gt, stride_gc, n_rows, n_tokens, n_positions,
    C: tl.constexpr, BLOCK_C: tl.constexpr, ROWS: tl.constexpr, BIAS: tl.constexpr,
):  # fmt: skip
    """`norm_backward` with gathered rows. Grid: (P,). `shares` is (1, P, C), or (2, P, C) with a bias."""
    columns = tl.arange(0, BLOCK_C)
    scale = tl.load(weight + columns, mask=columns < C, other=0.0).to(tl.float32)
    share_w = tl.zeros([ROWS, BLOCK_C], tl.float32)
    share_b = tl.zeros([ROWS, BLOCK_C], tl.float32)
    program, step = tl.program_id(0), tl.num_programs(0)
    for tile in range(program, tl.cdiv(n_rows, ROWS), step):
        rows = tile * ROWS + tl.arange(0, ROWS)
        inside = (rows < n_rows)[:, None] & (columns < C)[None, :]
        row = rows.to(tl.int64)[:, None]
        value = _embedded(
            tokens, positions, table, position_table, columns, rows, n_rows, n_tokens, n_positions, C
        )
        slope = tl.load(grad + row * stride_gt + columns[None, :] * stride_gc, mask=inside, other=0.0)
        slope = slope.to(tl.float32)
        result, normal = input_gradient(slope, value, scale, stats, rows, n_rows, C, True)
        tl.store(grad_rows + row * C + columns[None, :], result.to(grad_rows.dtype.element_ty), mask=inside)
        share_w += slope * normal
        if BIAS:
            share_b += slope
    at = shares + program * C + columns
    tl.store(at, tl.sum(share_w, 0), mask=columns < C)
    if BIAS:
        tl.store(at + step * C, tl.sum(share_b, 0), mask=columns < C)


@triton.jit(do_not_specialize=["n"])
def embedding_add_runs(
    ordered, order, rows, grad_table, heads, tails, n, n_known,
    C: tl.constexpr, CHUNK: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Add up the runs of one chunk of sorted tokens. Grid: (N, C / BLOCK_C).

    `ordered` (T,): the tokens, sorted; `order` (T,): the rows that they had; `heads` and `tails`: (N, C).
    """
    chunk = tl.program_id(0)
    columns = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = columns < C
    begin = chunk * CHUNK
    end = tl.minimum(begin + CHUNK, n)
    token = tl.load(ordered + begin).to(tl.int64)
    before = tl.load(ordered + begin - 1, mask=begin > 0, other=-1).to(tl.int64)
    is_head = (begin > 0) & (before == token)
    share = chunk.to(tl.int64) * C + columns
    acc = tl.zeros([BLOCK_C], tl.float32)
    for i in range(begin, end):
        row = tl.load(order + i).to(tl.int64)
        acc += tl.load(rows + row * C + columns, mask=inside, other=0.0).to(tl.float32)
        following = tl.load(ordered + i + 1, mask=i + 1 < n, other=-1).to(tl.int64)
        goes_on = (i + 1 < n) & (following == token)
        if (i + 1 == end) | (goes_on == 0):
            if is_head:
                tl.store(heads + share, acc, mask=inside)
            elif goes_on:
                tl.store(tails + share, acc, mask=inside)
            elif (token >= 0) & (token < n_known):
                tl.store(grad_table + token * C + columns, acc.to(grad_table.dtype.element_ty), mask=inside)
            acc = tl.zeros([BLOCK_C], tl.float32)
            is_head = False
        token = following


@triton.jit(do_not_specialize=["n"])
def embedding_join_runs(
    ordered, grad_table, heads, tails, n, n_known,
    C: tl.constexpr, CHUNK: tl.constexpr, BLOCK_C: tl.constexpr, CHUNKS_AT_ONCE: tl.constexpr,
):  # fmt: skip
    """Add up the shares of a run that begins in this chunk and goes on. Grid: (N - 1, C / BLOCK_C)."""
    chunk = tl.program_id(0)
    columns = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = columns < C
    begin = chunk * CHUNK
    token = tl.load(ordered + begin + CHUNK - 1).to(tl.int64)
    goes_on = tl.load(ordered + begin + CHUNK).to(tl.int64) == token
    began_before = tl.load(ordered + begin - 1, mask=begin > 0, other=-1).to(tl.int64) == token
    if goes_on & ((begin == 0) | (began_before == 0)):
        acc = tl.load(tails + chunk.to(tl.int64) * C + columns, mask=inside, other=0.0)
        after = chunk + 1
        while goes_on:
            those = after + tl.arange(0, CHUNKS_AT_ONCE)
            exist = those * CHUNK < n
            mine = exist & (tl.load(ordered + those * CHUNK, mask=exist, other=-1).to(tl.int64) == token)
            at = heads + those.to(tl.int64)[:, None] * C + columns[None, :]
            acc += tl.sum(tl.load(at, mask=mine[:, None] & inside[None, :], other=0.0), 0)
            after += CHUNKS_AT_ONCE
            goes_on = tl.sum(mine.to(tl.int32), 0) == CHUNKS_AT_ONCE
        if (token >= 0) & (token < n_known):
            tl.store(grad_table + token * C + columns, acc.to(grad_table.dtype.element_ty), mask=inside)


def table_gradient(index: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """The gradient of a table, from those of the rows (T, C) that `index` (T,) took; all contiguous."""
    n, width = rows.shape
    grad_table = torch.zeros_like(table)
    if n == 0:
        return grad_table
    ordered, order = torch.sort(index, stable=True)
    chunks = ceil_div(n, CHUNK)
    heads, tails = torch.empty((2, chunks, width), dtype=torch.float32, device=rows.device)
    block = min(1024, max(16, power_of_two(width)))
    blocks = ceil_div(width, block)
    with on(rows.device):
        embedding_add_runs[(chunks, blocks)](
            ordered, order, rows, grad_table, heads, tails, n, table.shape[0],
            C=width, CHUNK=CHUNK, BLOCK_C=block, num_warps=WARPS, **FUSED,
        )  # fmt: skip
        if chunks > 1:
            embedding_join_runs[(chunks - 1, blocks)](
                ordered, grad_table, heads, tails, n, table.shape[0],
                C=width, CHUNK=CHUNK, BLOCK_C=block, CHUNKS_AT_ONCE=CHUNKS_AT_ONCE, num_warps=WARPS, **FUSED,
            )  # fmt: skip
    return grad_table


def _forward(
    tokens: Tensor,
    positions: Tensor | None,
    table: Tensor,
    position_table: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """`out` (T, C), and mean and rstd (2, T)."""
    n_rows, width = tokens.shape[0], table.shape[1]
    out = torch.empty((n_rows, width), dtype=table.dtype, device=table.device)
    stats = torch.empty((2, n_rows), dtype=torch.float32, device=table.device)
    if n_rows:
        cut: Plan = on_device(plan, table.device, width, table.itemsize)
        with on(table.device):
            embedding_norm_forward[(ceil_div(n_rows, cut.rows),)](
                tokens, positions, table, position_table, weight, bias, out, stats, n_rows, table.shape[0],
                0 if position_table is None else position_table.shape[0], eps,
                C=width, BLOCK_C=cut.block_c, ROWS=cut.rows, num_warps=cut.warps, **FUSED,
            )  # fmt: skip
    return out, stats


def _backward(
    grad: Tensor,
    tokens: Tensor,
    positions: Tensor | None,
    table: Tensor,
    position_table: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    stats: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of table, position table, weight and bias; without elements where there is none."""
    n_rows, width = grad.shape
    grad_weight = torch.empty_like(weight)
    has_bias = bias is not None
    grad_bias = torch.empty_like(weight) if has_bias else weight.new_empty(0)
    rows = torch.empty((n_rows, width), dtype=table.dtype, device=table.device)
    if n_rows:
        cut: Plan = on_device(plan, table.device, width, table.itemsize)
        shares = empty_shares(n_rows, cut, width, has_bias, table.device)
        with on(table.device):
            embedding_norm_backward[(shares.shape[1],)](
                grad, tokens, positions, table, position_table, weight, stats, rows, shares,
                *grad.stride(), n_rows, table.shape[0],
                0 if position_table is None else position_table.shape[0],
                C=width, BLOCK_C=cut.block_c, ROWS=cut.backward_rows, BIAS=has_bias,
                num_warps=cut.backward_warps, **FUSED,
            )  # fmt: skip
            add_shares(shares, grad_weight, grad_bias if has_bias else None)
    else:
        grad_weight.zero_(), grad_bias.zero_()
    grad_positions = table.new_empty(0)
    if positions is not None and position_table is not None:
        grad_positions = table_gradient(positions, rows, position_table)
    return table_gradient(tokens, rows, table), grad_positions, grad_weight, grad_bias


def _fake(tokens: Tensor, positions: Tensor | None, table: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    n_rows = tokens.shape[0]
    return table.new_empty((n_rows, table.shape[1])), table.new_empty((2, n_rows), dtype=torch.float32)


def _fake_backward(
    grad: Tensor, tokens: Tensor, positions: Tensor | None, table: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    position_table, weight, bias, *_ = rest
    grad_positions = table.new_empty(0 if position_table is None else position_table.shape)
    grad_bias = weight.new_empty(0 if bias is None else bias.shape)
    return table.new_empty(table.shape), grad_positions, weight.new_empty(weight.shape), grad_bias


def _differentiate(backward: Any, ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    inputs = ctx.saved_tensors
    grads = None, None, *backward(grad, *inputs, *ctx.options)
    return *(None if x is None else of_x for of_x, x in zip(grads, inputs[:6], strict=True)), None


embed = Operation(
    "embedding_norm_triton",
    _forward,
    _backward,
    fake=_fake,
    fake_backward=_fake_backward,
    differentiate=_differentiate,
)
