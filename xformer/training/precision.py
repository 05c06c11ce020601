"""Precision of matrix products: fp32 or bf16."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

MatrixPrecision = Literal["fp32", "bf16"]
"""Precision of matrix products."""

TURNS = 3
"""Steps that are timed in each precision, in turns, after one that is not."""

_CLEARLY = 0.9
_HOPELESS = 3.0


@dataclass(frozen=True)
class Choice:
    """A precision, and why.

    Attributes:
        precision: of matrix products.
        why: the reason, in words.
        seconds: of a step in each precision, the fastest of some; empty if nothing was measured.
    """

    precision: MatrixPrecision
    why: str
    seconds: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.precision}, {self.why}"


def choose_precision(
    asked: Literal["auto", "fp32", "bf16"],
    device: torch.device,
    seconds_of: Callable[[MatrixPrecision], float],
    any_of: Callable[[bool], bool] = bool,
) -> Choice:
    """The precision that `auto` means: on a CPU, bf16 if a step is clearly faster in it.

    Both are tried in turns. The fastest of several steps counts, since other work on the machine may disturb
    some.

    Args:
        asked: the setting.
        device: device of training.
        seconds_of: takes a step in a precision, changes nothing, and returns its seconds.
        any_of: whether something is true in any of the processes that try together.
    """
    if asked != "auto":
        return Choice(asked, "as training.precision says")
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported():
            return Choice("bf16", "which this GPU multiplies faster")
        return Choice("fp32", "as this GPU does not support bf16")
    if any_of(lacks_bf16(device)):
        return Choice("fp32", "as this CPU has no instructions for products in bf16")
    seconds_of("fp32"), seconds_of("bf16")  # the first use new memory, and may compile
    full = half = math.inf
    for _ in range(TURNS):
        full, half = min(full, seconds_of("fp32")), min(half, seconds_of("bf16"))
        if any_of(half > _HOPELESS * full):
            break
    found: MatrixPrecision = "bf16" if half < _CLEARLY * full else "fp32"
    why = f"as a step of the run takes {1e3 * half:,.0f} ms in bf16 and {1e3 * full:,.0f} ms in fp32"
    return Choice(found, why, {"fp32": round(full, 5), "bf16": round(half, 5)})


def lacks_bf16(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether it is clear that a device has no instructions for products in bf16.

    On a CPU without them, such products are computed in another way and several times slower than in fp32.

    Args:
        device: where products are computed.
        cpuinfo: where Linux lists the instructions of the CPU. Without it nothing is clear.
    """
    if device.type != "cpu":
        return False
    with suppress(OSError):
        text = cpuinfo.read_text(encoding="utf-8")
        if flags := re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE):
            return not any("bf16" in flag for flag in flags[1].split())
    return False


def autocast(precision: MatrixPrecision, device: torch.device) -> AbstractContextManager[None]:
    """The context in which the forward pass runs; weights and optimizer stay fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
