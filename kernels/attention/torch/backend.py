"""The `torch` backend: a packed batch as dense blocks through PyTorch's kernels, as one custom operator.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table; a run is b neighbouring sequences of M queries and N keys each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..options import Rules
from .equal_lengths import layout
from .pieces import block_backward, block_forward


@torch.library.custom_op("xformer::attention_torch", mutates_args=())
def attention_torch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sink: Tensor | None,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    causal: bool,
    half_window: int | None,
    alibi_slopes: Tensor | None,
    bias_table: Tensor | None,
    bias_max_distance: int,
    softcap: float | None,
    scale: float,
    dropout: float,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Forward pass; arguments as in `reference_attention`.

    Returns:
        out (T, H, D) and lse (T, H).
    """
    rules = Rules(
        causal, half_window, alibi_slopes, bias_table, bias_max_distance, softcap, scale, dropout, seed
    )
    batch = layout(cu_seqlens_q, cu_seqlens_k, may_reorder=dropout == 0)
    dtype, stat_dtype = q.dtype, _stat_dtype(q)
    q = batch.sort_queries(_prepare(q))
    k, v = (_repeated(batch.sort_keys(_prepare(x)), q.shape[1]) for x in (k, v))
    operands = batch.query_blocks(q), batch.key_blocks(k), batch.key_blocks(v)
    blocks = [
        block_forward(query, key, value, rules, run.start_q)
        for run, query, key, value in zip(batch.runs, *operands, strict=True)
    ]
    out = batch.join_queries([block[0] for block in blocks], q)
    lse = batch.join_queries([block[1] for block in blocks], q[..., 0], float("-inf"))
    if sink is not None:
        out, lse = _add_sink(out, lse, sink)
    return batch.unsort_queries(out).to(dtype), batch.unsort_queries(lse).to(stat_dtype)


@attention_torch.register_fake
def _(q: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape), q.new_empty(q.shape[:2], dtype=_stat_dtype(q))


@torch.library.custom_op("xformer::attention_torch_backward", mutates_args=())
def attention_torch_backward(
    grad_out: Tensor,
    grad_lse: Tensor,
    out: Tensor,
    lse: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sink: Tensor | None,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    causal: bool,
    half_window: int | None,
    alibi_slopes: Tensor | None,
    bias_table: Tensor | None,
    bias_max_distance: int,
    softcap: float | None,
    scale: float,
    dropout: float,
    seed: int,
    needs_table: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Backward pass. The blocks need not know of a sink: it is in `lse`.

    Returns:
        Gradients of q, k, v, the sink and the bias table; the last two have no elements where there is no
        sink, and unless `needs_table`.
    """
    rules = Rules(
        causal, half_window, alibi_slopes, bias_table, bias_max_distance, softcap, scale, dropout, seed
    )
    batch = layout(cu_seqlens_q, cu_seqlens_k, may_reorder=dropout == 0)
    grad_sink = lse.new_empty(0) if sink is None else _sink_gradient(grad_out, grad_lse, out, lse, sink)
    lse_matters = bool(grad_lse.any())
    dtype, n_kv_heads = q.dtype, k.shape[1]
    grad_table = None
    if needs_table and bias_table is not None:
        grad_table = torch.zeros_like(bias_table)
    q, out, lse, grad_out = (batch.sort_queries(_prepare(x)) for x in (q, out, lse, grad_out))
    k, v = (_repeated(batch.sort_keys(_prepare(x)), q.shape[1]) for x in (k, v))
    rows = [batch.query_blocks(x) for x in (grad_out, q, out, lse)]
    grad_lses: list[Tensor] | list[None] = [None] * len(batch.runs)
    if lse_matters:
        grad_lses = batch.query_blocks(batch.sort_queries(grad_lse))
    blocks = [
        block_backward(grad, grad_of_lse, query, key, value, its_out, its_lse, rules, run.start_q, grad_table)
        for run, grad_of_lse, grad, query, its_out, its_lse, key, value in zip(
            batch.runs, grad_lses, *rows, batch.key_blocks(k), batch.key_blocks(v), strict=True
        )
    ]
    grad_q = batch.join_queries([block[0] for block in blocks], q)
    grad_k = _sum_groups(batch.join_keys([block[1] for block in blocks], k), n_kv_heads)
    grad_v = _sum_groups(batch.join_keys([block[2] for block in blocks], v), n_kv_heads)
    table = lse.new_empty(0) if grad_table is None else grad_table
    return (
        batch.unsort_queries(grad_q).to(dtype),
        batch.unsort_keys(grad_k).to(dtype),
        batch.unsort_keys(grad_v).to(dtype),
        grad_sink,
        table,
    )


@attention_torch_backward.register_fake
def _(
    grad_out: Tensor,
    grad_lse: Tensor,
    out: Tensor,
    lse: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sink: Tensor | None,
    *rest: Any,
) -> tuple[Tensor, ...]:
    bias_table, needs_table = rest[5], rest[-1]
    grad_sink = lse.new_empty(0) if sink is None else sink.new_empty(sink.shape)
    table = bias_table.new_empty(bias_table.shape) if needs_table else lse.new_empty(0)
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape), grad_sink, table


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    tensors, masks, biases, rest = inputs[:6], inputs[6:8], inputs[8:10], inputs[10:]
    ctx.save_for_backward(*output, *tensors, *biases)
    ctx.options = masks, rest


def _backward(ctx: Any, grad_out: Tensor, grad_lse: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, alibi_slopes, bias_table = ctx.saved_tensors
    masks, rest = ctx.options
    sink, needs_table = tensors[5], bias_table is not None and ctx.needs_input_grad[9]
    *grads, grad_sink, grad_table = attention_torch_backward(
        grad_out, grad_lse, *tensors, *masks, alibi_slopes, bias_table, *rest, needs_table
    )
    return (
        *grads,
        None if sink is None else grad_sink,
        *[None] * 5,
        grad_table if needs_table else None,
        *[None] * 5,
    )


def _no_second_backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    raise NotImplementedError("backend 'torch' has no second derivative; use backend='reference', which has")


attention_torch.register_autograd(_backward, setup_context=_save)
attention_torch_backward.register_autograd(_no_second_backward)


def _repeated(x: Tensor, n_heads: int) -> Tensor:
    """(S, G, D) → (S, H, D): each key/value head once for each query head that uses it."""
    return x if x.shape[1] == n_heads else x.repeat_interleave(n_heads // x.shape[1], dim=1)


def _add_sink(out: Tensor, lse: Tensor, sink: Tensor) -> tuple[Tensor, Tensor]:
    """What out (T, H, D) and lse (T, H) become when a key with score `sink` and no value joins in."""
    joint = torch.logaddexp(lse, sink.to(lse.dtype))
    share = torch.exp(lse - joint).masked_fill(lse.isneginf(), 0.0)
    return out * share[..., None].to(out.dtype), joint


def _sink_gradient(grad_out: Tensor, grad_lse: Tensor, out: Tensor, lse: Tensor, sink: Tensor) -> Tensor:
    """(H,): a sink is a key without a value: minus the sum of its weight times delta (see `delta`)."""
    delta = (grad_out.to(lse.dtype) * out.to(lse.dtype)).sum(-1) - grad_lse
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
