"""The `torch` backend: a packed batch as dense blocks through PyTorch's kernels, as one custom operator.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows of
the bias table; a run is b neighbouring sequences of M queries and N keys each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .dense import block_backward, block_forward
from .rules import Rules
from .runs import Run, layout


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
    out = _blank(q, 0.0, batch.covers_q)
    lse = _blank(q[..., 0], float("-inf"), batch.covers_q, _stat_dtype(q))
    if sink is not None and not batch.covers_q:
        lse.copy_(sink)
    q, k, v = batch.sort_queries(_prepare(q)), batch.sort_keys(_prepare(k)), batch.sort_keys(_prepare(v))
    for run in batch.runs:
        block_out, block_lse = block_forward(*_block(run, q, k, v), rules, run.start_q)
        if sink is not None:
            block_out, block_lse = _add_sink(block_out, block_lse, sink)
        run.queries(out).copy_(block_out)
        run.queries(lse).copy_(block_lse)
    return batch.unsort_queries(out), batch.unsort_queries(lse)


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
    if lse_matters:
        grad_lse = batch.sort_queries(grad_lse)
    grad_q = _blank(q, 0.0, batch.covers_q)
    grad_k, grad_v = _blank(k, 0.0, batch.covers_k), _blank(v, 0.0, batch.covers_k)
    grad_table = None
    if needs_table and bias_table is not None:
        grad_table = torch.zeros_like(bias_table)
    q, out, lse, grad_out = (batch.sort_queries(_prepare(x)) for x in (q, out, lse, grad_out))
    k, v = batch.sort_keys(_prepare(k)), batch.sort_keys(_prepare(v))
    for run in batch.runs:
        block = block_backward(
            run.queries(grad_out),
            run.queries(grad_lse) if lse_matters else None,
            *_block(run, q, k, v),
            run.queries(out),
            run.queries(lse),
            rules,
            run.start_q,
            grad_table,
        )
        run.queries(grad_q).copy_(block[0])
        run.keys(grad_k).copy_(_sum_groups(block[1], k.shape[1]))
        run.keys(grad_v).copy_(_sum_groups(block[2], v.shape[1]))
    table = lse.new_empty(0) if grad_table is None else grad_table
    return (
        batch.unsort_queries(grad_q),
        batch.unsort_keys(grad_k),
        batch.unsort_keys(grad_v),
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


def _block(run: Run, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A run's (b, M, H, D) queries, and keys and values (b, N, H, D), repeated for grouped heads."""
    key, value = run.keys(k), run.keys(v)
    group = q.shape[1] // k.shape[1]
    if group > 1:
        key, value = key.repeat_interleave(group, dim=2), value.repeat_interleave(group, dim=2)
    return run.queries(q), key, value


def _add_sink(out: Tensor, lse: Tensor, sink: Tensor) -> tuple[Tensor, Tensor]:
    """A run's out (b, M, H, D) and lse (b, M, H) when a key with score `sink` and no value joins in."""
    joint = torch.logaddexp(lse, sink.to(lse.dtype))
    share = torch.exp(lse - joint).masked_fill(lse.isneginf(), 0.0)
    return out * share[..., None].to(out.dtype), joint


def _sink_gradient(grad_out: Tensor, grad_lse: Tensor, out: Tensor, lse: Tensor, sink: Tensor) -> Tensor:
    """(H,): a sink is a key without a value: minus the sum of its weight times delta (see `delta`)."""
    delta = (grad_out.to(lse.dtype) * out.to(lse.dtype)).sum(-1) - grad_lse
    weight = torch.exp(sink.to(lse.dtype) - lse).masked_fill(lse.isneginf(), 0.0)
    return -(weight * delta).sum(0).to(sink.dtype)


def _sum_groups(grad: Tensor, n_kv_heads: int) -> Tensor:
    """(b, N, H, D) → (b, N, G, D): the sum over the query heads that share a key/value head."""
    if grad.shape[2] == n_kv_heads:
        return grad
    return grad.unflatten(2, (n_kv_heads, -1)).sum(dim=3)


def _blank(like: Tensor, value: float, covered: bool, dtype: torch.dtype | None = None) -> Tensor:
    """A contiguous tensor for runs to fill; filled beforehand only if they leave rows out."""
    if covered:
        return like.new_empty(like.shape, dtype=dtype)
    return like.new_full(like.shape, value, dtype=dtype)


def _prepare(x: Tensor) -> Tensor:
    """What the fused CPU kernel wants: elements of a head side by side, and fp32 for half precision.

    It does not check the first. As to the second, its fp32 products are the faster ones, conversion included.
    """
    if x.device.type == "cpu" and x.dtype in (torch.float16, torch.bfloat16):
        return x.to(torch.float32, memory_format=torch.contiguous_format)
    return x if x.stride(-1) == 1 else x.contiguous()


def _stat_dtype(q: Tensor) -> torch.dtype:
    return torch.promote_types(q.dtype, torch.float32)
