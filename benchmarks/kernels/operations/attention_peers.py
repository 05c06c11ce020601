"""The implementations of attention: ours, PyTorch's, and optional packages.

Shapes: T tokens, B sequences, H heads, D head size, N length of the longest sequence, R rows of the bias
table.

Implementations for packed batches get them as (T, H, D). The others get padded ones, (B, H, N, D), with the
mask that makes them correct. The time to pad is not counted.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from xformer.kernels import attention
from xformer.kernels.attention.relative_position import distances, visible

from ..operation import Backend, Contender, Inputs, Prepared, eager_and_compiled, our_contenders, peer
from .attention_cases import T5_MAX_DISTANCE, AttentionCase
from .attention_truth import bucket_of

PADDED = frozenset({"out", "q", "k", "v", "dq", "dk", "dv"})


def attention_contenders() -> list[Contender[AttentionCase]]:
    """All implementations, ours first."""
    sdpa = {
        "sdpa flash": SDPBackend.FLASH_ATTENTION,
        "sdpa cudnn": SDPBackend.CUDNN_ATTENTION,
        "sdpa efficient": SDPBackend.EFFICIENT_ATTENTION,
        "sdpa math": SDPBackend.MATH,
    }
    return [
        *our_contenders(_ours),
        *(Contender(name, partial(_sdpa, backend)) for name, backend in sdpa.items()),
        Contender("varlen_attn", _varlen),
        Contender("flex", _flex, compiled=True),
        *eager_and_compiled(_eager),
        Contender("flash-attn", partial(_flash_attn, "flash_attn"), "flash-attn"),
        Contender("flash-attn 3", partial(_flash_attn, "flash_attn_interface"), "flash-attn-3"),
        Contender("flash-attn 4", partial(_flash_attn, "flash_attn.cute"), "flash-attn-4"),
    ]


def boundaries(case: AttentionCase, device: torch.device) -> Tensor:
    """(B+1,) int32: where each sequence of the packed batch begins and ends."""
    lengths = torch.tensor([0, *case.lengths], dtype=torch.int32)
    return lengths.cumsum(0, dtype=torch.int32).to(device)


def real_tokens(case: AttentionCase, device: torch.device) -> Tensor:
    """(B, N) bool: the places of the padded batch with a token."""
    lengths = torch.tensor(case.lengths, device=device)
    return torch.arange(case.lengths[0], device=device) < lengths[:, None]


def pad(packed: Tensor, case: AttentionCase) -> Tensor:
    """(T, H, D) → (B, H, N, D), zeros where there is no token."""
    real = real_tokens(case, packed.device)
    padded = packed.new_zeros(*real.shape, *packed.shape[1:])
    padded[real] = packed
    return padded.transpose(1, 2).contiguous()


def unpad(padded: Tensor, case: AttentionCase) -> Tensor:
    """(B, H, N, D) → (T, H, D)."""
    return padded.transpose(1, 2)[real_tokens(case, padded.device)]


def has_kernels(device: torch.device) -> bool:
    """Whether peers for GPUs can run."""
    return device.type == "cuda"


def _padded(case: AttentionCase, inputs: Inputs, call: Callable[..., Tensor]) -> Prepared:
    shared = inputs.derived
    tensors = {**inputs.leaves, "out": inputs.grads["out"]}
    for name in tensors.keys() & PADDED - shared.keys():
        shared[name] = pad(tensors[name], case)
    leaves = {name: shared.get(name, x) for name, x in inputs.leaves.items()}

    def restore(name: str, value: Tensor) -> Tensor:
        return unpad(value, case) if name in PADDED else value

    return Prepared(call, leaves, (shared["out"],), ("out",), restore)


def _ours(backend: Backend, case: AttentionCase, inputs: Inputs) -> Prepared:
    options: dict[str, Any] = {
        "cu_seqlens_q": boundaries(case, inputs.leaves["q"].device),
        "max_length_q": case.lengths[0],
        "max_length_k": case.lengths[0],
        "causal": case.causal,
        "window": case.window,
        "backend": backend,
    }

    def attend(q: Tensor, k: Tensor, v: Tensor, bias_table: Tensor | None = None) -> Tensor:
        return attention(q, k, v, bias_table=bias_table, bias_max_distance=T5_MAX_DISTANCE, **options)

    return inputs.prepared(attend)


def _sdpa(backend: SDPBackend, case: AttentionCase, inputs: Inputs) -> Prepared:
    """One backend of scaled_dot_product_attention.

    The call includes the choice of the backend, a few microseconds of the host's time.
    """
    device = inputs.leaves["q"].device
    plain = case.window is None and not case.bias
    # Without padding no mask is given, so that PyTorch can take its faster kernels.
    causal = case.causal and case.dense and plain
    mask = None if case.dense and plain else _mask(case, device)
    score_mask = _score_mask(case, device)

    def attend(q: Tensor, k: Tensor, v: Tensor, bias_table: Tensor | None = None) -> Tensor:
        given = mask if bias_table is None else score_mask(bias_table, q.dtype)
        with sdpa_kernel(backend):
            return functional.scaled_dot_product_attention(q, k, v, attn_mask=given, is_causal=causal)

    prepared = _padded(case, inputs, attend)
    lack = _lack(prepared, trained=False)
    if lack is not None:
        raise NotImplementedError(lack)
    untrainable = _lack(prepared, trained=True)
    if untrainable is None:
        return prepared

    def refuse(*leaves: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise NotImplementedError(untrainable)
        return attend(*leaves)

    return replace(prepared, call=refuse)


def _lack(prepared: Prepared, trained: bool) -> str | None:
    """Why PyTorch has no such kernel, from its warnings; None if it has one."""
    leaves = [x.detach().requires_grad_(trained) for x in prepared.leaves.values()]
    with warnings.catch_warnings(record=True) as said, torch.set_grad_enabled(trained):
        warnings.simplefilter("always")
        try:
            prepared.forward(leaves)
        except RuntimeError as error:
            if "No available kernel" not in str(error) and "No viable backend" not in str(error):
                raise
            reasons = [str(each.message).split(" (Triggered internally")[0] for each in said]
            # Warnings about other backends, and the headline of the list, are left out.
            telling = [text for text in reasons if "because" not in text and "disabled" not in text]
            return "; ".join(telling) or "PyTorch has no such kernel for this"
    return None


def _varlen(case: AttentionCase, inputs: Inputs) -> Prepared:
    """PyTorch's `varlen_attn`: FlashAttention over packed batches."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError as error:
        raise NotImplementedError("this PyTorch has no varlen_attn") from error
    device = _packed_on_gpu("varlen_attn", case, inputs)
    options: dict[str, Any] = {}
    takes: Any = inspect.signature(varlen_attn).parameters
    half = case.half_window
    if "window_size" in takes:
        left = -1 if half is None else half
        options["window_size"] = (left, 0 if case.causal else left)
    elif half is not None:
        raise NotImplementedError("varlen_attn of this PyTorch has no window")
    else:
        options["is_causal"] = case.causal
    starts, longest = boundaries(case, device), case.lengths[0]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        found: Any = varlen_attn(q, k, v, starts, starts, longest, longest, **options)
        return found

    return inputs.prepared(attend)


def _flash_attn(module: str, case: AttentionCase, inputs: Inputs) -> Prepared:
    """The flash-attn packages, which share a function for packed batches."""
    device = _packed_on_gpu("flash-attn", case, inputs)
    varlen = peer(module, "flash_attn_varlen_func")
    half = case.half_window
    options: dict[str, Any] = {
        "cu_seqlens_q": boundaries(case, device),
        "cu_seqlens_k": boundaries(case, device),
        "max_seqlen_q": case.lengths[0],
        "max_seqlen_k": case.lengths[0],
        "causal": case.causal,
    }
    if half is not None:
        options["window_size"] = (half, half)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        found: Any = varlen(q, k, v, **options)
        return found[0] if isinstance(found, tuple) else found

    return inputs.prepared(attend)


def _packed_on_gpu(name: str, case: AttentionCase, inputs: Inputs) -> torch.device:
    """The device of the inputs, for a peer that takes no bias and has no CPU kernel."""
    device = inputs.leaves["q"].device
    if case.bias:
        raise NotImplementedError(f"{name} takes no bias")
    if not has_kernels(device):
        raise NotImplementedError(f"{name} has no CPU kernel")
    return device


def _eager(case: AttentionCase, inputs: Inputs) -> Prepared:
    """The formula in plain PyTorch."""
    device = inputs.leaves["q"].device
    hidden = _hidden(case, device)
    scale = 1 / math.sqrt(case.d_head)
    bucket = bucket_of(case, distances(case.lengths[0], case.lengths[0], device)) if case.bias else None

    def attend(q: Tensor, k: Tensor, v: Tensor, bias_table: Tensor | None = None) -> Tensor:
        score = q @ k.transpose(-2, -1) * scale
        if bias_table is not None and bucket is not None:
            score = score + functional.embedding(bucket, bias_table).permute(2, 0, 1).to(score.dtype)
        if hidden is not None:
            score = score.masked_fill(hidden, float("-inf"))
        return torch.softmax(score, dim=-1) @ v

    return _padded(case, inputs, attend)


def _flex(case: AttentionCase, inputs: Inputs) -> Prepared:
    """FlexAttention, compiled: packed batches as one long sequence with a block mask."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    device = inputs.leaves["q"].device
    n = case.lengths[0] if case.dense else case.n_tokens
    lengths = torch.tensor(case.lengths, device=device)
    document = torch.arange(len(case.lengths), device=device).repeat_interleave(lengths)
    half = case.half_window

    def seen(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        inside = i == i if case.dense else document[i] == document[j]
        if case.causal:
            inside = inside & (j <= i)
        if half is not None:
            inside = inside & ((j - i).abs() <= half)
        return inside

    masked = not case.dense or case.causal or half is not None
    blocks = create_block_mask(seen, None, None, n, n, device=str(device)) if masked else None
    longest = case.lengths[0]
    bucket = bucket_of(case, torch.arange(-longest, longest + 1, device=device)) if case.bias else None
    run: Any = torch.compile(flex_attention, dynamic=False, fullgraph=True)

    def attend(q: Tensor, k: Tensor, v: Tensor, bias_table: Tensor | None = None) -> Tensor:
        def biased(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
            assert bias_table is not None
            assert bucket is not None
            # The scores of other documents' tokens are masked, so their row does not matter.
            return score + bias_table[bucket[(j - i).clamp(-longest, longest) + longest], h]

        if not has_kernels(device) and torch.is_grad_enabled():
            raise NotImplementedError("FlexAttention has no backward pass on a CPU")
        shape = (-1, n)
        q, k, v = (x.unflatten(0, shape).transpose(1, 2) for x in (q, k, v))
        found: Tensor = run(q, k, v, score_mod=biased if case.bias else None, block_mask=blocks)
        return found.transpose(1, 2).flatten(0, 1)

    return inputs.prepared(attend)


def _hidden(case: AttentionCase, device: torch.device) -> Tensor | None:
    """Bool, true where a key is not visible; None where all are."""
    plain = case.dense and not case.causal and case.window is None
    return None if plain else ~_mask(case, device)


def _mask(case: AttentionCase, device: torch.device) -> Tensor:
    """Bool, true where a key is visible: (B, 1, 1, N), or (…, N, N) where that depends on the query."""
    length = case.lengths[0]
    keys = real_tokens(case, device)[:, None, None]
    if not case.causal and case.window is None:
        return keys
    seen = visible(distances(length, length, device), case.causal, case.half_window)
    if case.dense:
        return seen[None, None]
    # Padding sees itself: a row without a visible key would give NaN.
    return (keys & seen) | torch.eye(length, dtype=torch.bool, device=device)


def _score_mask(case: AttentionCase, device: torch.device) -> Callable[[Tensor, torch.dtype], Tensor]:
    """A function from the bias table (R, H) and a dtype to the bias (B or 1, H, N, N), -inf where hidden."""
    if not case.bias:
        return lambda table, dtype: table
    length = case.lengths[0]
    bucket = bucket_of(case, distances(length, length, device))
    hidden = _hidden(case, device)

    def make(table: Tensor, dtype: torch.dtype) -> Tensor:
        bias = functional.embedding(bucket, table).permute(2, 0, 1)[None].to(dtype)
        return bias if hidden is None else bias.masked_fill(hidden, float("-inf"))

    return make
