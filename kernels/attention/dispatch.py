"""Which backend computes attention, and what the fused backends cannot do.

Shapes: T query tokens, H query heads, D head size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from ..backend import Backend
from ..device import INTERPRETER, target_of
from ..operation import choose
from .options import AttentionOptions

MAX_TRITON_HEAD_SIZE = 256


def choose_backend(backend: Backend | None, q: Tensor, options: AttentionOptions) -> Backend:
    """The backend asked for; left out, `triton` on a GPU where it can do this, otherwise `torch`.

    Args:
        backend: as the caller gave it.
        q: (T, H, D).
        options: already checked.

    Raises:
        ValueError: there is no such backend.
        NotImplementedError: the backend cannot do this; the message names one that can.
    """
    chosen = choose(backend, q, _triton_lack(q))
    slopes = options.alibi_slopes
    if chosen != "reference" and slopes is not None and slopes.requires_grad and torch.is_grad_enabled():
        raise NotImplementedError(f"backend {chosen!r}: no gradient for alibi_slopes; use 'reference'")
    return chosen


def check_differentiation(backend: Backend, *tensors: Tensor | None) -> None:
    """Refuse forward-mode and `torch.func` derivatives of the fused backends, which would be zero.

    Under `torch.compile` they are not found out.

    Raises:
        NotImplementedError: an input carries a forward-mode tangent, or a `torch.func` transform's gradient.
    """
    if backend == "reference" or torch.compiler.is_compiling():
        return
    for x in tensors:
        if x is None:
            continue
        if unpack_dual(x).tangent is not None or torch._C._functorch.is_gradtrackingtensor(x):
            raise NotImplementedError(
                f"backend {backend!r}: no forward-mode derivative and no torch.func derivative; "
                "use backend='reference', which has both"
            )


def _triton_lack(q: Tensor) -> str | None:
    """What the Triton kernels cannot do, in words; None if nothing."""
    if q.dtype == torch.float64:
        return "no float64"
    if q.dtype == torch.bfloat16 and q.is_cpu and target_of(q.device) is INTERPRETER:
        return "Triton's interpreter multiplies bfloat16 wrongly"
    if q.shape[2] > MAX_TRITON_HEAD_SIZE:
        return f"no head size over {MAX_TRITON_HEAD_SIZE}, got {q.shape[2]}"
    return None
