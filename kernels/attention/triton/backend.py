"""The `triton` backend: launches of the fused kernels. Importing it needs triton.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from ...device import Tile, head_parts, padded_head_size, target_of
from ...operation import FUSED
from ..operators import attention_operation
from ..options import AttentionOptions
from .backward_key_value import attention_backward_key_value
from .backward_query import attention_backward_query
from .delta import attention_delta
from .forward import attention_forward
from .operands import bucket_line, dropout_operands, in_a_row, shared_operands, strides
from .tile_sizes import Kernel, attention_tile

DELTA_ELEMENTS = 2048
"""Elements in a tile of delta: a larger one spills with some versions of Triton."""


def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
    max_length_q: int,
    max_length_k: int,
    allow_tf32: bool,
    block: Sequence[int] | None,
) -> tuple[Tensor, Tensor]:
    """Forward pass.

    `block` is (BLOCK_M, BLOCK_N) instead of the device's: tests want many blocks in short sequences.
    """
    n_heads, head_size = q.shape[1:]
    sink = in_a_row(options.sink)
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty(q.shape[:2], dtype=torch.float32, device=q.device)
    n_sequences = cu_seqlens_q.shape[0] - 1
    if out.numel() == 0 or n_sequences == 0:
        return out, lse
    tile = _tile("forward", q, options, max_length_q, block)
    n_blocks = triton.cdiv(max_length_q, tile.block_m)
    with torch.cuda.device_of(q):
        shared = shared_operands(
            q, k, cu_seqlens_q, cu_seqlens_k, options, max(max_length_q, max_length_k), v=v
        )
        attention_forward[(n_blocks * n_heads * n_sequences,)](
            **shared, **dropout_operands(options), out=out, lse=lse, sink=sink, n_blocks=n_blocks,
            SINK=sink is not None, **constants(head_size, allow_tf32, tile),
        )  # fmt: skip
    return out, lse


def _backward(
    grad_out: Tensor,
    grad_lse: Tensor | None,
    out: Tensor,
    lse: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    options: AttentionOptions,
    max_length_q: int,
    max_length_k: int,
    allow_tf32: bool,
    block: Sequence[int] | None,
    needs_table: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    n_heads, head_size = q.shape[1:]
    n_sequences = cu_seqlens_q.shape[0] - 1
    grad_q, grad_k, grad_v = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    sink = options.sink
    grad_sink = q.new_empty(0) if sink is None else torch.zeros_like(sink)
    table = options.bias_table if needs_table else None
    grad_table = q.new_empty(0) if table is None else torch.zeros_like(table)
    if q.numel() == 0 or n_sequences == 0:
        return grad_q, grad_k.zero_(), grad_v.zero_(), grad_sink, grad_table
    if grad_lse is None:
        grad_lse = lse.new_zeros(()).expand(lse.shape)
    delta = torch.empty_like(lse)
    tile_kv = _tile("key_value", q, options, max_length_k, block)
    tile_q = _tile("query" if table is None else "query_table", q, options, max_length_q, block)
    blocks_kv = triton.cdiv(max_length_k, tile_kv.block_n)
    blocks_q = triton.cdiv(max_length_q, tile_q.block_m)
    rows = 1
    buckets = partial = None
    with torch.cuda.device_of(q):
        longest = max(max_length_q, max_length_k)
        if table is not None:
            buckets = bucket_line(table, options, longest)
            rows = triton.next_power_of_2(table.shape[0])
            partial = lse.new_zeros(n_sequences, n_heads, blocks_q, rows)
        common = {
            **shared_operands(q, k, cu_seqlens_q, cu_seqlens_k, options, longest, v=v),
            **dropout_operands(options), "scale": options.scale,
            "grad_out": grad_out, **strides(g=grad_out), "lse": lse, "delta": delta,
        }  # fmt: skip
        delta_rows = DELTA_ELEMENTS // padded_head_size(head_size)
        attention_delta[(triton.cdiv(lse.numel(), delta_rows),)](
            out, lse, grad_out, grad_lse, delta, *grad_out.stride(), *grad_lse.stride(), lse.numel(), n_heads,
            D=head_size, BLOCK_D=padded_head_size(head_size), BLOCK_M=delta_rows,
            num_warps=4, num_stages=1, **FUSED,
        )  # fmt: skip
        if k.numel() > 0:
            attention_backward_key_value[(blocks_kv * k.shape[1] * n_sequences,)](
                **common, grad_k=grad_k, grad_v=grad_v, n_blocks=blocks_kv,
                **constants(head_size, allow_tf32, tile_kv),
            )  # fmt: skip
        attention_backward_query[(blocks_q * n_heads * n_sequences,)](
            **common, grad_q=grad_q, n_blocks=blocks_q, partial=partial, buckets=buckets,
            TABLE=table is not None, R=rows, **constants(head_size, allow_tf32, tile_q),
        )  # fmt: skip
        if table is not None and partial is not None:
            grad_table = partial.sum((0, 2)).t()[: table.shape[0]].to(table.dtype, copy=True)
        if sink is not None:
            # A sink is a key without a value, so that its dP is 0: its weight times (0 - delta).
            weight = torch.exp(sink - lse).masked_fill(lse.isneginf(), 0.0)
            grad_sink = -(weight * delta).sum(0).to(sink.dtype)
    return grad_q, grad_k, grad_v, grad_sink, grad_table.contiguous()


attention_triton = attention_operation("attention_triton", _forward, _backward)


def _tile(
    kernel: Kernel, q: Tensor, options: AttentionOptions, max_length: int, block: Sequence[int] | None
) -> Tile:
    target = target_of(q.device)
    tile = attention_tile(
        kernel, target, q.shape[2], q.dtype, max_length, options.burden, options.biased_mask
    )
    if block is None:
        return tile
    n_queries, n_keys = (min(block), min(block)) if kernel == "query_table" else block
    return Tile(n_queries, n_keys, tile.num_warps, tile.num_stages)


def constants(head_size: int, allow_tf32: bool, tile: Tile) -> dict[str, Any]:
    """Compile-time arguments of a kernel, other than its options."""
    block_d, block_e = head_parts(head_size)
    return {
        "PRECISION": "tf32" if allow_tf32 else "ieee",
        "D": head_size,
        "BLOCK_D": block_d,
        "BLOCK_E": block_e,
        "BLOCK_M": tile.block_m,
        "BLOCK_N": tile.block_n,
        "num_warps": tile.num_warps,
        "num_stages": tile.num_stages,
        **FUSED,
    }
