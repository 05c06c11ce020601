"""The kernels of statistics and rows in their default configurations, for those who compile them.

Shapes: D head size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ...compile.launch import Launch
from ...device import Target, Tile, padded_head_size
from ..triton.backend import FUSED, constants
from ..triton.operands import is_folded
from ..triton.tiles import UNSPECIALIZED
from .tile_sizes import StatisticsKernel, is_thin, partial_sums_a_row, rows_tile, statistics_tile
from .triton_kernels import attention_received, attention_row_statistics, attention_rows_parts

_FUNCTIONS: dict[StatisticsKernel, Any] = {
    "row_statistics": attention_row_statistics,
    "received": attention_received,
}
_NAMES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32"}
_SCORE_OPTIONS = ("causal", "window", "alibi", "bias", "softcap")
_TYPES = {
    **dict.fromkeys(("anchors", "share", "sink", "slopes", "bias", "parts"), "*fp32"),
    **dict.fromkeys(("entropy", "largest", "distance", "marked_mass", "received"), "*fp32"),
    **dict.fromkeys(("cu_seqlens_q", "cu_seqlens_k"), "*i32"),
    **dict.fromkeys(("rows", "sequences"), "*i64"),
    **dict.fromkeys(("score_scale", "cap"), "fp32"),
    **dict.fromkeys((*UNSPECIALIZED, "n_tokens", "width"), "i32"),
    **{f"stride_{name}{axis}": "i32" for name in "qk" for axis in "th"},
    "marked": "*i1",
}


@dataclass(frozen=True)
class Case:
    """A choice of head size and options.

    Attributes:
        head_size: D.
        dtype: of q and k.
        options: which of `causal`, `window`, `alibi`, `bias`, `softcap`, `sink` and `marked` there are, and
            `tf32`.
        max_length: of the sequences, in tokens; tiles are not made larger.
    """

    head_size: int
    dtype: torch.dtype = torch.float16
    options: tuple[str, ...] = ()
    max_length: int = 512

    @property
    def label(self) -> str:
        """Such as `D=64 fp16 causal`."""
        short = [] if self.max_length == 512 else [f"N={self.max_length}"]
        return " ".join([f"D={self.head_size}", _NAMES[self.dtype], *short, *self.options])


# As in `launches`: options that stand alone there, stand together here.
CASES = (
    *(Case(size) for size in (64, 96, 128, 256)),
    *(Case(size, torch.float32) for size in (64, 128)),
    Case(64, torch.bfloat16, max_length=32),
    Case(64, torch.bfloat16, ("causal", "window", "alibi", "bias", "softcap", "sink", "marked")),
    Case(64, torch.float32, ("tf32",)),
    Case(128, options=("bias",)),
)


def launches(target: Target) -> Iterator[Launch]:
    """Every kernel in its default configurations; most options at head size 64."""
    for case in CASES:
        yield launch("row_statistics", target, case)
        yield launch("received", target, case)
        yield _rows(case)


def launch(kernel: StatisticsKernel, target: Target, case: Case, tile: Tile | None = None) -> Launch:
    """One kernel as `statistics_triton` launches it on contiguous tensors.

    Args:
        kernel: which.
        target: for which machine.
        case: head size and options.
        tile: instead of the device's.
    """
    if tile is None:
        biased = "bias" in case.options
        tile = statistics_tile(kernel, target, case.head_size, case.dtype, case.max_length, biased)
    shape = constants(case.head_size, "tf32" in case.options, tile)
    flags: dict[str, Any] = {
        "SINK": "sink" in case.options,
        "MARKED": "marked" in case.options,
        "SHARED": True,
    }
    flags |= {"THIN": is_thin(case.head_size, case.dtype), "PARTS": partial_sums_a_row(target, case.dtype)}
    return _launch(f"attention_{kernel}", _FUNCTIONS[kernel], case, {**shape, **flags}, tile)


def _rows(case: Case) -> Launch:
    tile = rows_tile(case.head_size)
    width = padded_head_size(case.head_size)
    shape = {"D": case.head_size, "BLOCK_D": width, "BLOCK_N": tile.block_n}
    return _launch("attention_rows_parts", attention_rows_parts, case, shape, tile)


def _launch(name: str, function: Any, case: Case, shape: dict[str, Any], tile: Tile) -> Launch:
    values = {
        **shape, "stride_qd": 1, "stride_kd": 1, "FOLDED": is_folded(case.dtype),
        **{option.upper(): option in case.options for option in _SCORE_OPTIONS},
    }  # fmt: skip
    tensors = {"slopes": "alibi", "bias": "bias", "sink": "sink", "marked": "marked"}
    values |= {argument: None for argument, option in tensors.items() if option not in case.options}
    values = {key: value for key, value in values.items() if key in function.arg_names}
    types = {
        argument: _TYPES.get(argument, f"*{_NAMES[case.dtype]}")
        for argument in function.arg_names
        if argument not in values
    }
    aligned = frozenset(
        argument for argument, kind in types.items() if kind.startswith("*") or argument.startswith("stride_")
    )
    return Launch(
        name, case.label, function, types, values, aligned, tile.num_warps, tile.num_stages, dict(FUSED)
    )
