"""The attention kernels in their default configurations, for those who compile them without launching.

Shapes: D head size, R rows of a T5 table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ...compile.launch import Launch
from ...device import Target, Tile, padded_head_size
from .backend import DELTA_ELEMENTS, FUSED, constants
from .backward_key_value import attention_backward_key_value
from .backward_query import attention_backward_query
from .delta import attention_delta
from .forward import attention_forward
from .operands import is_folded
from .tile_sizes import Kernel, attention_tile
from .tiles import UNSPECIALIZED

# Powers of two and a sum of two. In half precision 72 and 96 have the tiles of 80 and 128, which take more.
HEAD_SIZES = (32, 64, 80, 128, 256)

_FUNCTIONS: dict[Kernel, tuple[str, Any]] = {
    "forward": ("attention_forward", attention_forward),
    "key_value": ("attention_backward_key_value", attention_backward_key_value),
    "query": ("attention_backward_query", attention_backward_query),
    "query_table": ("attention_backward_query", attention_backward_query),
}
_NAMES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32"}
_POINTERS = {
    **dict.fromkeys(("lse", "delta", "grad_lse", "sink", "slopes", "bias", "partial"), "*fp32"),
    **dict.fromkeys(("cu_seqlens_q", "cu_seqlens_k"), "*i32"),
    "buckets": "*i64",
}
_FLOATS = ("scale", "score_scale", "cap", "kept_scale")
_INTEGERS = (*UNSPECIALIZED, "n_rows")


@dataclass(frozen=True)
class Case:
    """A choice of head size and options.

    Attributes:
        head_size: D.
        dtype: of q, k and v.
        causal: no key ahead of its query.
        window: keys far from their query are hidden.
        alibi: with ALiBi slopes.
        bias: with a T5 table of 32 rows, which wants its gradient.
        softcap: with bounded scores.
        dropout: with dropout.
        sink: with a sink.
        tf32: fp32 products may be rounded.
        max_length: of the sequences, in tokens; tiles are not made larger.
    """

    head_size: int
    dtype: torch.dtype = torch.float16
    causal: bool = False
    window: bool = False
    alibi: bool = False
    bias: bool = False
    softcap: bool = False
    dropout: bool = False
    sink: bool = False
    tf32: bool = False
    max_length: int = 512

    @property
    def burden(self) -> int:
        """As in `Rules`."""
        return (self.alibi or self.bias) + self.softcap + 2 * self.dropout

    @property
    def biased_mask(self) -> bool:
        """As in `Rules`."""
        return self.bias and (self.causal or self.window)

    @property
    def label(self) -> str:
        """Such as `D=64 fp16 causal`."""
        names = ("causal", "window", "alibi", "bias", "softcap", "dropout", "sink", "tf32")
        short = [] if self.max_length == 512 else [f"N={self.max_length}"]
        chosen = [name for name in names if getattr(self, name)]
        return " ".join([f"D={self.head_size}", _NAMES[self.dtype], *short, *chosen])


# Compiling takes a second or two each, for each target. So every option stands alone where it decides about a
# tile or is what most models have; the others stand together, in the case that takes the most registers.
CASES = (
    *(Case(size) for size in HEAD_SIZES),
    *(Case(size, torch.float32) for size in (32, 64, 80, 96, 128, 256)),
    Case(64, max_length=32),
    Case(64, causal=True, window=True, alibi=True),
    Case(64, dropout=True),
    Case(64, torch.bfloat16, causal=True, bias=True, softcap=True, dropout=True, sink=True),
    Case(64, torch.float32, tf32=True),
    Case(128, bias=True),
)


def launches(target: Target) -> Iterator[Launch]:
    """Every kernel in its default configurations; most options at head size 64."""
    for case in CASES:
        yield launch("forward", target, case)
        yield launch("key_value", target, case)
        yield launch("query_table" if case.bias else "query", target, case)
    for size in HEAD_SIZES:
        padded = padded_head_size(size)
        shape = {"D": size, "BLOCK_D": padded, "BLOCK_M": DELTA_ELEMENTS // padded}
        yield _launch("attention_delta", f"D={size} fp16", attention_delta, torch.float16, shape, 4, 1)


def launch(kernel: Kernel, target: Target, case: Case, tile: Tile | None = None) -> Launch:
    """One kernel as `triton_backend` launches it on contiguous tensors.

    Args:
        kernel: which.
        target: for which machine.
        case: head size and options.
        tile: instead of the device's.
    """
    if tile is None:
        tile = attention_tile(
            kernel, target, case.head_size, case.dtype, case.max_length, case.burden, case.biased_mask
        )
    shape = constants(case.head_size, case.tf32, tile)
    flags = {
        "CAUSAL": case.causal, "WINDOW": case.window, "ALIBI": case.alibi, "BIAS": case.bias,
        "SOFTCAP": case.softcap, "DROPOUT": case.dropout, "FOLDED": is_folded(case.dtype),
    }  # fmt: skip
    name, function = _FUNCTIONS[kernel]
    if kernel == "forward":
        flags["SINK"] = case.sink
    elif kernel != "key_value":
        flags["TABLE"] = case.bias
    absent = {
        "slopes": case.alibi, "bias": case.bias, "sink": case.sink, "buckets": case.bias, "partial": case.bias
    }  # fmt: skip
    values = {
        **shape, **flags, **{argument: None for argument, there in absent.items() if not there},
        **({"R": 32 if case.bias else 1} if "TABLE" in flags else {}),
    }  # fmt: skip
    warps, stages = values.pop("num_warps"), values.pop("num_stages")
    values = {key: value for key, value in values.items() if key not in FUSED}
    return _launch(name, case.label, function, case.dtype, values, warps, stages)


def _launch(
    name: str,
    label: str,
    function: Any,
    dtype: torch.dtype,
    values: dict[str, Any],
    num_warps: int,
    num_stages: int,
) -> Launch:
    arguments = function.arg_names
    values = {key: value for key, value in values.items() if key in arguments}
    values |= {
        argument: 1 for argument in arguments if argument.startswith("stride_") and argument[-1] == "d"
    }
    types = {argument: _type(argument, dtype) for argument in arguments if argument not in values}
    aligned = {
        argument
        for argument, kind in types.items()
        if kind.startswith("*") or (argument.startswith("stride_") and not argument.startswith("stride_l"))
    }
    return Launch(
        name, label, function, types, values, frozenset(aligned), num_warps, num_stages, dict(FUSED)
    )


def _type(argument: str, dtype: torch.dtype) -> str:
    if argument in _FLOATS:
        return "fp32"
    if argument in _INTEGERS or argument.startswith("stride_"):
        return "i32"
    return _POINTERS.get(argument, f"*{_NAMES[dtype]}")
