"""The `torch` backend: a packed batch as dense blocks, through PyTorch's kernels.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table; a stack is b neighbouring sequences of M queries and N keys each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..operators import attention_operation
from ..options import AttentionOptions
from .chunks import block_backward, block_forward
from .dense import with_nan
from .equal_lengths import layout


def _forward(
    q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, options: AttentionOptions
) -> tuple[Tensor, Tensor]:
    stacks, queries, keys = layout(cu_seqlens_q, cu_seqlens_k, may_reorder=options.dropout == 0)
    dtype, n_heads = q.dtype, q.shape[1]
    q = queries.sort(_prepare(q))
    k, v = (_repeated(keys.sort(_prepare(x)), n_heads) for x in (k, v))
    blocks = [
        block_forward(query, key, value, options, stack.start_q)
        for stack, query, key, value in zip(
            stacks, queries.blocks(q), keys.blocks(k), keys.blocks(v), strict=True
        )
    ]
    lse = queries.join([block[1] for block in blocks], q[..., 0], float("-inf"))
    if bool((lse == 0).any()):
        outs = [
            with_nan(block, query, key, options)
            for block, query, key in zip(blocks, queries.blocks(q), keys.blocks(k), strict=True)
        ]
        lse = queries.join([block[1] for block in blocks], q[..., 0], float("-inf"))
    else:
        outs = [block[0] for block in blocks]
    out = queries.join(outs, q)
    if options.sink is not None:
        out, lse = _add_sink(out, lse, options.sink)
    return queries.unsort(out).to(dtype), queries.unsort(lse).to(torch.promote_types(dtype, torch.float32))


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
    # The gradients of blocks need no sink: it is in `lse`.
    sink, bias_table = options.sink, options.bias_table if needs_table else None
    stacks, queries, keys = layout(cu_seqlens_q, cu_seqlens_k, may_reorder=options.dropout == 0)
    if grad_lse is not None and not grad_lse.any():
        grad_lse = None
    grad_sink = q.new_empty(0) if sink is None else _sink_gradient(grad_out, grad_lse, out, lse, sink)
    grad_table = None if bias_table is None else torch.zeros_like(bias_table)
    dtype, n_kv_heads = q.dtype, k.shape[1]
    q, out, lse, grad_out = (queries.sort(_prepare(x)) for x in (q, out, lse, grad_out))
    k, v = (_repeated(keys.sort(_prepare(x)), q.shape[1]) for x in (k, v))
    rows = (queries.blocks(q), queries.blocks(out), queries.blocks(lse))
    grad_lses: list[Tensor] | list[None] = [None] * len(stacks)
    if grad_lse is not None:
        grad_lses = queries.blocks(queries.sort(grad_lse))
    blocks = [
        block_backward(
            grad, grad_of_lse, query, key, value, its_out, its_lse, options, stack.start_q, grad_table
        )
        for stack, grad, grad_of_lse, query, its_out, its_lse, key, value in zip(
            stacks, queries.blocks(grad_out), grad_lses, *rows, keys.blocks(k), keys.blocks(v), strict=True
        )
    ]
    grad_q = queries.join([block[0] for block in blocks], q)
    grad_k, grad_v = (
        _sum_groups(keys.join([block[i] for block in blocks], x), n_kv_heads) for i, x in ((1, k), (2, v))
    )
    return (
        queries.unsort(grad_q).to(dtype),
        keys.unsort(grad_k).to(dtype),
        keys.unsort(grad_v).to(dtype),
        grad_sink,
        q.new_empty(0, dtype=dtype) if grad_table is None else grad_table,
    )


attention_torch = attention_operation("attention_torch", _forward, _backward)


def _repeated(x: Tensor, n_heads: int) -> Tensor:
    """(S, G, D) → (S, H, D): each key/value head once for each query head that uses it."""
    return x if x.shape[1] == n_heads else x.repeat_interleave(n_heads // x.shape[1], dim=1)


def _add_sink(out: Tensor, lse: Tensor, sink: Tensor) -> tuple[Tensor, Tensor]:
    """Give out (T, H, D) and lse (T, H) with one more key, of score `sink` and without a value."""
    joint = torch.logaddexp(lse, sink.to(lse.dtype))
    share = torch.exp(lse - joint).masked_fill(lse.isneginf(), 0.0)
    return out * share[..., None].to(out.dtype), joint


def _sink_gradient(
    grad_out: Tensor, grad_lse: Tensor | None, out: Tensor, lse: Tensor, sink: Tensor
) -> Tensor:
    """(H,) minus the sum of the sink's weight times delta (see `delta`): a sink is a key without a value."""
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
    """q, k or v as the fused CPU kernel needs them: a head's elements side by side, fp32 for half precision.

    The kernel does not check the strides. Its fp32 products are faster, conversion included.
    """
    if x.device.type == "cpu" and x.dtype in (torch.float16, torch.bfloat16):
        return x.to(torch.float32, memory_format=torch.contiguous_format)
    return x if x.stride(-1) == 1 else x.contiguous()
