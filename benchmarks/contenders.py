"""The implementations of attention that are compared: each backend of ours, and what PyTorch offers.

Shapes: T tokens, B sequences, H heads, D head size, N length of the longest sequence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from xformer.kernels import attention

from .cases import AttentionCase

Backend = Literal["triton", "torch", "reference"]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Contender:
    """An implementation.

    Attributes:
        name: how tables call it.
        padded: it takes and gives (B, H, N, D) rather than (T, H, D). It is handed its inputs padded and is
            not charged for padding them.
        prepare: makes the call for one case on one device. What a training step makes once for all layers
            (masks, boundaries) is done here and not timed.
    """

    name: str
    padded: bool
    prepare: Callable[[AttentionCase, torch.device], Attend]


def eager() -> Contender:
    """The formula in plain PyTorch over a padded batch."""
    return Contender("eager, padded", True, _prepare_eager)


def contenders() -> list[Contender]:
    """All there are, ours first. Which of them can run here shows when they are asked."""
    backends: tuple[Backend, ...] = ("triton", "torch", "reference")
    ours = [Contender(f"xformer {backend}", False, partial(_prepare_ours, backend)) for backend in backends]
    return [*ours, Contender("SDPA, padded", True, _prepare_sdpa), eager()]


def boundaries(case: AttentionCase, device: torch.device) -> Tensor:
    """(B+1,) int32: where each sequence of the packed batch begins and ends."""
    lengths = torch.tensor([0, *case.lengths], dtype=torch.int32)
    return lengths.cumsum(0, dtype=torch.int32).to(device)


def real_tokens(case: AttentionCase, device: torch.device) -> Tensor:
    """(B, N) bool: which places of the padded batch hold a token."""
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


def _prepare_ours(backend: Backend, case: AttentionCase, device: torch.device) -> Attend:
    cu_seqlens = boundaries(case, device)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(
            q,
            k,
            v,
            cu_seqlens,
            max_length_q=case.lengths[0],
            max_length_k=case.lengths[0],
            causal=case.causal,
            backend=backend,
        )

    return attend


def _prepare_sdpa(case: AttentionCase, device: torch.device) -> Attend:
    mask = _mask(case, device)
    # Without padding PyTorch is told so, which opens its faster ways.
    dense = case.fill == 1
    return partial(
        functional.scaled_dot_product_attention,
        attn_mask=None if dense else mask,
        is_causal=case.causal and dense,
    )


def _prepare_eager(case: AttentionCase, device: torch.device) -> Attend:
    hidden = ~_mask(case, device)
    scale = 1 / math.sqrt(case.d_head)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        score = (q @ k.transpose(-2, -1) * scale).masked_fill(hidden, float("-inf"))
        return torch.softmax(score, dim=-1) @ v

    return attend


def _mask(case: AttentionCase, device: torch.device) -> Tensor:
    """Bool, true where a query may look: (B, 1, 1, N), or (B, 1, N, N) when causal."""
    keys = real_tokens(case, device)[:, None, None]
    if not case.causal:
        return keys
    length = case.lengths[0]
    return keys & torch.ones(length, length, dtype=torch.bool, device=device).tril()
