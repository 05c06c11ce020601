"""Which backend computes attention, and what the fused backends cannot do.

Shapes: T query tokens, S key tokens, H query heads, G key/value heads, D head size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..backend import Backend
from ..device import INTERPRETER, target_of
from ..operation import choose
from .options import AttentionOptions

MAX_TRITON_HEAD_SIZE = 256


def choose_backend(backend: Backend | None, q: Tensor, options: AttentionOptions, *others: Tensor) -> Backend:
    """The backend asked for; left out, the fastest that can do this.

    Args:
        backend: as the caller gave it.
        q: (T, H, D).
        options: already checked.
        others: keys and values (S, G, D), where they are differentiated.

    Raises:
        ValueError: there is no such backend.
        NotImplementedError: the backend cannot do this; the message names one that can.
    """
    slopes = options.alibi_slopes
    chosen = choose(backend, q, _triton_lack(q), *others, options.sink, slopes, options.bias_table)
    if chosen != "reference" and slopes is not None and slopes.requires_grad and torch.is_grad_enabled():
        raise NotImplementedError(f"backend {chosen!r}: no gradient for alibi_slopes; use 'reference'")
    return chosen


def _triton_lack(q: Tensor) -> str | None:
    """What the Triton kernels cannot do, in words; None if nothing."""
    if q.dtype == torch.float64:
        return "no float64"
    if q.dtype == torch.bfloat16 and q.is_cpu and target_of(q.device) is INTERPRETER:
        return "Triton's interpreter multiplies bfloat16 wrongly"
    if q.shape[2] > MAX_TRITON_HEAD_SIZE:
        return f"no head size over {MAX_TRITON_HEAD_SIZE}, got {q.shape[2]}"
    return None
