"""The `torch` backend: a packed batch as dense blocks through PyTorch's kernels, as one custom operator.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table; a run is b neighbouring sequences of M queries and N keys each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..operators import attention_operation
from ..options import AttentionOptions
from .equal_lengths import layout
from .pieces import block_backward, block_forward


def _forward(
    q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, options: AttentionOptions
) -> tuple[Tensor, Tensor]:
    batch = layout(cu_seqlens_q, cu_seqlens_k, may_reorder=options.dropout == 0)
    dtype, stat_dtype = q.dtype, _stat_dtype(q)
    q = batch.sort_queries(_prepare(q))
    k, v = (_repeated(batch.sort_keys(_prepare(x)), q.shape[1]) for x in (k, v))
    operands = batch.query_blocks(q), batch.key_blocks(k), batch.key_blocks(v)
    blocks = [
        block_forward(query, key, value, options, run.start_q)
        for run, query, key, value in zip(batch.runs, *operands, strict=True)
    ]
    out = batch.join_queries([block[0] for block in blocks], q)
    lse = batch.join_queries([block[1] for block in blocks], q[..., 0], float("-inf"))
    if options.sink is not None:
        out, lse = _add_sink(out, lse, options.sink)
    return batch.unsort_queries(out).to(dtype), batch.unsort_queries(lse).to(stat_dtype)


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
    needs_table: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    # The blocks need not know of a sink: it is in `lse`.
    sink, bias_table = options.sink, options.bias_table if needs_table else None
    batch = layout(cu_seqlens_q, cu_seqlens_k, may_reorder=options.dropout == 0)
    if grad_lse is not None and not grad_lse.any():
        grad_lse = None
    grad_sink = q.new_empty(0) if sink is None else _sink_gradient(grad_out, grad_lse, out, lse, sink)
    grad_table = None if bias_table is None else torch.zeros_like(bias_table)
    dtype, n_kv_heads = q.dtype, k.shape[1]
    q, out, lse, grad_out = (batch.sort_queries(_prepare(x)) for x in (q, out, lse, grad_out))
    k, v = (_repeated(batch.sort_keys(_prepare(x)), q.shape[1]) for x in (k, v))
    rows = [batch.query_blocks(x) for x in (grad_out, q, out, lse)]
    grad_lses: list[Tensor] | list[None] = [None] * len(batch.runs)
    if grad_lse is not None:
        grad_lses = batch.query_blocks(batch.sort_queries(grad_lse))
    blocks = [
        block_backward(
            grad, grad_of_lse, query, key, value, its_out, its_lse, options, run.start_q, grad_table
        )
        for run, grad_of_lse, grad, query, its_out, its_lse, key, value in zip(
            batch.runs, grad_lses, *rows, batch.key_blocks(k), batch.key_blocks(v), strict=True
        )
    ]
    grad_q = batch.join_queries([block[0] for block in blocks], q)
    grad_k = _sum_groups(batch.join_keys([block[1] for block in blocks], k), n_kv_heads)
    grad_v = _sum_groups(batch.join_keys([block[2] for block in blocks], v), n_kv_heads)
    return (
        batch.unsort_queries(grad_q).to(dtype),
        batch.unsort_keys(grad_k).to(dtype),
        batch.unsort_keys(grad_v).to(dtype),
        grad_sink,
        grad_sink.new_empty(0, dtype=dtype) if grad_table is None else grad_table,
    )


attention_torch = attention_operation("attention_torch", _forward, _backward)


def _repeated(x: Tensor, n_heads: int) -> Tensor:
    """(S, G, D) → (S, H, D): each key/value head once for each query head that uses it."""
    return x if x.shape[1] == n_heads else x.repeat_interleave(n_heads // x.shape[1], dim=1)


def _add_sink(out: Tensor, lse: Tensor, sink: Tensor) -> tuple[Tensor, Tensor]:
    """What out (T, H, D) and lse (T, H) become when a key with score `sink` and no value joins in."""
    joint = torch.logaddexp(lse, sink.to(lse.dtype))
    share = torch.exp(lse - joint).masked_fill(lse.isneginf(), 0.0)
    return out * share[..., None].to(out.dtype), joint


def _sink_gradient(
    grad_out: Tensor, grad_lse: Tensor | None, out: Tensor, lse: Tensor, sink: Tensor
) -> Tensor:
    """(H,): a sink is a key without a value: minus the sum of its weight times delta (see `delta`)."""
    delta = (grad_out.to(lse.dtype) * out.to(lse.dtype)).sum(-1)
    if grad_lse is not None:
        delta = delta - grad_lse
    delta = delta.masked_fill(lse.isneginf(), 0.0)
    weight = torch.exp(sink.to(lse.dtype) - lse).masked_fill(lse.isneginf(), 0.0)
    return -(weight * delta).sum(0).to(sink.dtype)


def _sum_groups(grad: Tensor, n_kv_heads: int) -> Tensor:
    """(S, H, D) → (S, G, D): the sum over the query heads that share a key/value head."""
    if grad.shape[1] == n_kv_heads:
        return grad
    return grad.unflatten(1, (n_kv_heads, -1)).sum(dim=2)


def _prepare(x: Tensor) -> Tensor:
    """What the fused CPU kernel wants: elements of a head side by side, and fp32 for half precision.

    It does not check the first. As to the second, its fp32 products are the faster ones, conversion included.
    """
    if x.device.type == "cpu" and x.dtype in (torch.float16, torch.bfloat16):
        return x.to(torch.float32, memory_format=torch.contiguous_format)
    return x if x.stride(-1) == 1 else x.contiguous()


def _stat_dtype(q: Tensor) -> torch.dtype:
    return torch.promote_types(q.dtype, torch.float32)
