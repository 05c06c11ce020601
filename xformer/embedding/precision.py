"""Precision of a model that only encodes: what `dtype=` of `xformer.load` means."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from xformer.errors import InputError
from xformer.model.int8 import quantise
from xformer.model.int8_linear import require_int8
from xformer.model.multilingual import MultilingualModel

Dtype = Literal["auto", "fp32", "bf16", "int8"]
"""`auto`: bf16 on a GPU that has it, else fp32. `int8` is for CPUs alone, and only by choice."""


@dataclass(frozen=True)
class Prepared:
    """A model, ready to encode.

    Attributes:
        model: on its device, in evaluation mode.
        dtype: name of the precision of its matrix products.
        computing: makes the context in which its forward pass runs.
    """

    model: MultilingualModel
    dtype: str
    computing: Callable[[], AbstractContextManager[object]]


def prepare(model: MultilingualModel, dtype: str, device: torch.device) -> Prepared:
    """Move a model to its device and set its precision, which changes the model itself.

    Args:
        model: on the host, in evaluation mode.
        dtype: one of `Dtype`.
        device: where to compute.

    Raises:
        InputError: the name is unknown, or the device does not have the precision.
    """
    if dtype not in get_args(Dtype):
        raise InputError(f"dtype: expected one of {', '.join(get_args(Dtype))}, got {dtype!r}")
    if dtype == "int8":
        require_int8(device)
        quantise(model.encoder)
        return Prepared(model, "int8", nullcontext)
    half = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if dtype == "bf16" and device.type == "cuda" and not half:
        raise InputError(f"dtype: bf16 is not supported by {torch.cuda.get_device_name(device)}; use fp32")
    if dtype == "bf16" or (dtype == "auto" and half):
        return Prepared(model.to(device), "bf16", lambda: torch.autocast(device.type, torch.bfloat16))
    return Prepared(model.to(device), "fp32", nullcontext)


def device_of(device: str | torch.device | None) -> torch.device:
    """The device that a name means; None for a GPU if there is one.

    Raises:
        InputError: the name is unknown, or torch sees no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device: expected cpu, cuda or cuda:NUMBER, got {device!r}") from error
    if place.type not in ("cpu", "cuda"):
        raise InputError(f"device: expected cpu, cuda or cuda:NUMBER, got {str(device)!r}")
    if place.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device: {device} was asked for, and torch sees no GPU; use cpu, or leave it out")
    return place
