"""The `triton` backend: launches of the fused kernels, as one custom operator. Importing it needs triton.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from ..device import Kernel, Tile, attention_tile, padded_head_size, target_of
from .backward import attention_backward_key_value, attention_backward_query, attention_delta
from .forward import attention_forward

LOG2_E = 1.4426950408889634
DELTA_ROWS = 64
# a*b + c in one rounding: Triton 3.10 stops doing so unasked.
FUSED = {"enable_fp_fusion": True}


@torch.library.custom_op("xformer::attention_triton", mutates_args=())
def attention_triton(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_length_q: int,
    max_length_k: int,
    causal: bool,
    half_window: int | None,
    alibi_slopes: Tensor | None,
    scale: float,
    block: Sequence[int] | None,
) -> tuple[Tensor, Tensor]:
    """Forward pass; arguments as in `attention`, already checked.

    Args:
        q: (T, H, D).
        k: (S, G, D).
        v: (S, G, D).
        cu_seqlens_q: (B+1,).
        cu_seqlens_k: (B+1,).
        max_length_q: no sequence has more queries.
        max_length_k: no sequence has more keys.
        causal: no key ahead of its query.
        half_window: greatest distance attended over, or None.
        alibi_slopes: (H,) or None.
        scale: factor of q·k.
        block: (BLOCK_M, BLOCK_N) instead of the device's; for tests, which want many blocks in short
            sequences.

    Returns:
        out (T, H, D) and lse (T, H) fp32.
    """
    n_heads = q.shape[1]
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty(q.shape[:2], dtype=torch.float32, device=q.device)
    n_sequences = cu_seqlens_q.shape[0] - 1
    if out.numel() == 0 or n_sequences == 0:
        return out, lse
    tile = _tile("forward", q, max_length_q, block)
    n_blocks = triton.cdiv(max_length_q, tile.block_m)
    with torch.cuda.device_of(q):
        attention_forward[(n_blocks * n_heads * n_sequences,)](
            q, k, v, out, lse, cu_seqlens_q, cu_seqlens_k, alibi_slopes,
            *q.stride(), *k.stride(), *v.stride(),
            n_blocks, n_heads, n_heads // k.shape[1], _score_scale(q, scale), half_window or 0,
            **_constants(q, causal, half_window, alibi_slopes, tile),
        )  # fmt: skip
    return out, lse


@attention_triton.register_fake
def _(q: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty(q.shape, dtype=q.dtype, device=q.device), q.new_empty(q.shape[:2], dtype=torch.float32)


@torch.library.custom_op("xformer::attention_triton_backward", mutates_args=())
def attention_triton_backward(
    grad_out: Tensor,
    grad_lse: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_length_q: int,
    max_length_k: int,
    causal: bool,
    half_window: int | None,
    alibi_slopes: Tensor | None,
    scale: float,
    block: Sequence[int] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Backward pass.

    Returns:
        Gradients of q, k and v, contiguous.
    """
    n_heads, head_size = q.shape[1:]
    n_kv_heads = k.shape[1]
    grad_q, grad_k, grad_v = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    n_sequences = cu_seqlens_q.shape[0] - 1
    if q.numel() == 0 or k.numel() == 0 or n_sequences == 0:
        return grad_q.zero_(), grad_k.zero_(), grad_v.zero_()
    delta = torch.empty_like(lse)
    tile_kv = _tile("key_value", q, max_length_k, block)
    tile_q = _tile("query", q, max_length_q, block)
    blocks_kv = triton.cdiv(max_length_k, tile_kv.block_n)
    blocks_q = triton.cdiv(max_length_q, tile_q.block_m)
    inputs = (q, k, v, grad_out, lse, delta)
    layout = (
        cu_seqlens_q,
        cu_seqlens_k,
        alibi_slopes,
        *q.stride(),
        *k.stride(),
        *v.stride(),
        *grad_out.stride(),
    )
    sizes = (n_heads, n_heads // n_kv_heads, scale, _score_scale(q, scale), half_window or 0)
    with torch.cuda.device_of(q):
        attention_delta[(triton.cdiv(lse.numel(), DELTA_ROWS),)](
            out, grad_out, grad_lse, delta, *grad_out.stride(), *grad_lse.stride(), lse.numel(), n_heads,
            D=head_size, BLOCK_D=padded_head_size(head_size), BLOCK_M=DELTA_ROWS,
            num_warps=4, num_stages=1, **FUSED,
        )  # fmt: skip
        attention_backward_key_value[(blocks_kv * n_kv_heads * n_sequences,)](
            *inputs, grad_k, grad_v, *layout, blocks_kv, *sizes,
            **_constants(q, causal, half_window, alibi_slopes, tile_kv),
        )  # fmt: skip
        attention_backward_query[(blocks_q * n_heads * n_sequences,)](
            *inputs, grad_q, *layout, blocks_q, *sizes,
            **_constants(q, causal, half_window, alibi_slopes, tile_q),
        )  # fmt: skip
    return grad_q, grad_k, grad_v


@attention_triton_backward.register_fake
def _(grad_out: Tensor, grad_lse: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return tuple(torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    (
        q,
        k,
        v,
        cu_seqlens_q,
        cu_seqlens_k,
        max_length_q,
        max_length_k,
        causal,
        half_window,
        slopes,
        scale,
        block,
    ) = inputs
    ctx.save_for_backward(q, k, v, *output, cu_seqlens_q, cu_seqlens_k, slopes)
    ctx.options = (max_length_q, max_length_k, causal, half_window), (scale, block)


def _backward(ctx: Any, grad_out: Tensor, grad_lse: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, slopes = ctx.saved_tensors
    before, after = ctx.options
    grads = attention_triton_backward(grad_out, grad_lse, *tensors, *before, slopes, *after)
    return *grads, *[None] * 9


def _no_second_backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    raise NotImplementedError("backend 'triton' has no second derivative; 'reference' has")


attention_triton.register_autograd(_backward, setup_context=_save)
attention_triton_backward.register_autograd(_no_second_backward)


def _tile(kernel: Kernel, q: Tensor, max_length: int, block: Sequence[int] | None) -> Tile:
    tile = attention_tile(kernel, target_of(q.device), q.shape[2], q.dtype, max_length)
    return tile if block is None else Tile(block[0], block[1], tile.num_warps, tile.num_stages)


def _is_folded(dtype: torch.dtype) -> bool:
    """Whether kernels fold log2 e into the scale; see `tiles.exponential`."""
    return dtype != torch.float32


def _score_scale(q: Tensor, scale: float) -> float:
    return scale * LOG2_E if _is_folded(q.dtype) else scale


def _constants(
    q: Tensor, causal: bool, half_window: int | None, alibi_slopes: Tensor | None, tile: Tile
) -> dict[str, Any]:
    """What a kernel is compiled for."""
    return {
        "CAUSAL": causal,
        "WINDOW": half_window is not None,
        "ALIBI": alibi_slopes is not None,
        "FOLDED": _is_folded(q.dtype),
        "D": q.shape[2],
        "BLOCK_D": padded_head_size(q.shape[2]),
        "BLOCK_M": tile.block_m,
        "BLOCK_N": tile.block_n,
        "num_warps": tile.num_warps,
        "num_stages": tile.num_stages,
        **FUSED,
    }
