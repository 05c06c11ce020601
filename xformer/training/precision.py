"""In what precision the matrices are multiplied."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

MatrixPrecision = Literal["fp32", "bf16"]
"""Of matrix products."""

_TURNS = 7


def choose_precision(
    asked: Literal["auto", "fp32", "bf16"], device: torch.device, width: int
) -> MatrixPrecision:
    """Settle `auto`: bf16 where it multiplies matrices of this width clearly faster on this device.

    On a CPU without bf16 instructions it is several times slower, so this is measured, in a tenth of a second
    or so: the best of turns, since what else the machine does for a moment must not settle a run's precision.

    Args:
        asked: the setting.
        device: where training happens.
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
        if turn and half > 3 * full:  # done without instructions for it, and each product may take seconds
            break
    # Casting weights and activations costs something on top of the product.
    return "bf16" if half < 0.6 * full else "fp32"


def _seconds(dtype: torch.dtype, device: torch.device, width: int) -> float:
    # Ones: random numbers would move the state that a resumed run has just got back.
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
