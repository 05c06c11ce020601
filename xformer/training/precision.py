"""Precision of matrix products: fp32 or bf16."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

MatrixPrecision = Literal["fp32", "bf16"]
"""Precision of matrix products."""

_TURNS = 7


def choose_precision(
    asked: Literal["auto", "fp32", "bf16"], device: torch.device, width: int
) -> MatrixPrecision:
    """The precision that `auto` means: bf16 if matrix products of this width are clearly faster in it.

    On a CPU without bf16 instructions they are several times slower, so both are measured, in about a tenth
    of a second. The best of several measurements counts, since other work on the machine may disturb some.

    Args:
        asked: the setting.
        device: device of training.
        width: d_model.
    """
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    full = half = math.inf
    for turn in range(_TURNS):
        full = min(full, _seconds(torch.float32, device, width))
        half = min(half, _seconds(torch.bfloat16, device, width))
        if turn and half > 3 * full:  # emulated: each product may take seconds
            break
    # Casting weights and activations takes time, too.
    return "bf16" if half < 0.6 * full else "fp32"


def _seconds(dtype: torch.dtype, device: torch.device, width: int) -> float:
    # Not random numbers: they would change the random state of a resumed run.
    a = torch.ones(2048, width, device=device, dtype=dtype)
    b = torch.ones(width, 4 * width, device=device, dtype=dtype)
    torch.mm(a, b)  # the first may compile, or start threads
    start = time.perf_counter()
    torch.mm(a, b)
    return time.perf_counter() - start


def autocast(precision: MatrixPrecision, device: torch.device) -> AbstractContextManager[None]:
    """The context in which the forward pass runs; weights and optimizer stay fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
