"""What is wanted of the kernels on an H100: one goal for each bound, to be held against records."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .operations import operations
from .outcome import (
    Goal,
    Outcome,
    Shape,
    faster_than,
    faster_than_best,
    judge,
    memory_of,
    places,
    share_of_roofline,
    slower_than,
)

if TYPE_CHECKING:
    from rich.table import Table

# "At 250k vocabulary": XLM-R's has 250,002 entries.
LARGE_VOCABULARY = 250_000
# "From 32 MiB up": of the rows to be normed, in half precision.
LARGE_ROWS = 32 * 2**20 // 2


def goals() -> list[Goal]:
    """All of them, in the order they were asked for."""
    return [*_attention(), *_loss(), *_norms()]


def outcomes(folder: Path, device: str = "H100") -> list[Outcome]:
    """What a folder of records says of the goals.

    Args:
        folder: holds `<device>.jsonl` files.
        device: part of the name of the device that is asked about.

    Raises:
        InputError: a line is not a record.
    """
    grid = {operation.name: operation.cases("cuda", False) for operation in operations()}
    return judge(places(folder), grid, goals(), device)


def outcome_table(found: Sequence[Outcome]) -> Table:
    """One row for each goal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in ("goal", "wanted", "measured", ""):
        shown.add_column(head, justify="right" if head == "measured" else "left", no_wrap=True)
    shown.add_column("what, and where it is worst")
    for one in found:
        state, style = ("met", "green") if one.met else ("not met", "bold red")
        if one.measured is None:
            state, style = "not measured", "dim"
        shown.add_row(
            one.goal,
            f"{one.sense} {one.wanted:g}",
            "" if one.measured is None else f"{one.measured:.3g}",
            Text(state, style),
            Text(f"{one.text}; {one.note}"),
        )
    met = sum(one.met for one in found)
    open_ = sum(one.measured is None for one in found)
    shown.caption = Text(f"{met} of {len(found)} met, {open_} not measured")
    shown.caption_justify = "left"
    return shown


def _attention() -> list[Goal]:
    ragged = "useful throughput over the best peer's on ragged batches of head 32 and 64, geometric mean"
    ragged_forward = Goal(
        "attention-ragged-forward",
        f"{ragged}, forward",
        1.2,
        "at least",
        "attention",
        "forward",
        _ragged,
        faster_than_best("varlen_attn"),
        "mean",
    )
    dense_forward = Goal(
        "attention-dense-forward-fa2",
        "speed over SDPA's flash (FlashAttention-2) on dense batches, forward, the worst case",
        1.0,
        "at least",
        "attention",
        "forward",
        _dense,
        faster_than("sdpa flash"),
    )
    return [
        ragged_forward,
        dataclasses.replace(
            ragged_forward, goal="attention-ragged-backward", text=f"{ragged}, backward", direction="backward"
        ),
        dense_forward,
        *(
            Goal(
                f"attention-dense-forward-cudnn-d{size}",
                f"speed over cuDNN on dense batches of head {size}, N ≥ 2,048, forward, the worst case",
                wanted,
                "at least",
                "attention",
                "forward",
                within,
                faster_than("sdpa cudnn"),
            )
            for size, wanted, within in ((64, 0.9, _long_64), (128, 0.8, _long_128))
        ),
        dataclasses.replace(
            dense_forward,
            goal="attention-dense-backward-fa2",
            text="speed over SDPA's flash (FlashAttention-2) on dense batches, backward, the worst case",
            direction="backward",
        ),
        Goal(
            "attention-statistics",
            "time of all statistics, those of keys too, over that of the plain forward pass, the worst case",
            1.5,
            "at most",
            "attention_statistics",
            "forward",
            _any,
            slower_than("xformer triton forward"),
        ),
        Goal(
            "attention-t5-bias-backward",
            "speed over FlexAttention's with a T5 bias and its gradient, backward, the worst case",
            3.0,
            "at least",
            "attention",
            "backward",
            _biased,
            faster_than("flex"),
        ),
    ]


def _loss() -> list[Goal]:
    large = "at a vocabulary of 250k with 15% of the positions chosen, forward and backward, the worst case"
    equal = "on equal rows, forward and backward, the worst case"
    time = Goal(
        "linear-cross-entropy-time",
        f"speed over full logits {large}",
        4.0,
        "at least",
        "linear_cross_entropy",
        "forward+backward",
        _large_selected,
        faster_than("eager full logits"),
    )
    return [
        time,
        dataclasses.replace(
            time,
            goal="linear-cross-entropy-memory",
            text=f"peak memory over that of full logits {large}",
            wanted=0.1,
            sense="at most",
            value=memory_of("eager full logits"),
        ),
        dataclasses.replace(
            time,
            goal="linear-cross-entropy-liger-time",
            text=f"speed over Liger {equal}",
            wanted=1.0,
            within=_all_rows,
            value=faster_than("liger"),
        ),
        dataclasses.replace(
            time,
            goal="linear-cross-entropy-liger-memory",
            text=f"peak memory over Liger's {equal}",
            wanted=1.0,
            sense="at most",
            within=_all_rows,
            value=memory_of("liger"),
        ),
    ]


def _norms() -> list[Goal]:
    found = []
    widths = "at every width from 64 to 4,096, forward and backward, the worst case"
    for name, operation in (("layer-norm", "layer_norm"), ("rms-norm", "rms_norm")):
        torch = Goal(
            f"{name}-torch",
            f"speed over PyTorch's {widths}",
            1.0,
            "at least",
            operation,
            "forward+backward",
            _any,
            faster_than("eager"),
        )
        found += [
            torch,
            dataclasses.replace(
                torch,
                goal=f"{name}-liger",
                text=f"speed over Liger's {widths}",
                value=faster_than("liger"),
            ),
            dataclasses.replace(
                torch,
                goal=f"{name}-bandwidth",
                text="share of a large copy's bandwidth from 32 MiB up, forward and backward, the worst case",
                wanted=0.85,
                within=_large_rows,
                value=share_of_roofline,
            ),
        ]
    return found


def _any(sweep: str, shape: Shape) -> bool:
    return True


def _plain(shape: Shape) -> bool:
    return not shape.get("window") and not shape.get("bias")


def _ragged(sweep: str, shape: Shape) -> bool:
    short = _number(shape, "max_length") <= 512 and shape.get("d_head") in (32, 64)
    return "ragged" in sweep.split() and _plain(shape) and short


def _dense(sweep: str, shape: Shape) -> bool:
    return "dense" in sweep.split() and _plain(shape)


def _long_64(sweep: str, shape: Shape) -> bool:
    return _dense(sweep, shape) and shape.get("d_head") == 64 and _number(shape, "max_length") >= 2048


def _long_128(sweep: str, shape: Shape) -> bool:
    return _dense(sweep, shape) and shape.get("d_head") == 128 and _number(shape, "max_length") >= 2048


def _biased(sweep: str, shape: Shape) -> bool:
    return bool(shape.get("bias"))


def _large_selected(sweep: str, shape: Shape) -> bool:
    return _number(shape, "vocabulary") >= LARGE_VOCABULARY and not _all_rows(sweep, shape)


def _all_rows(sweep: str, shape: Shape) -> bool:
    return shape.get("n_selected") == shape.get("n_tokens")


def _large_rows(sweep: str, shape: Shape) -> bool:
    return _number(shape, "n_tokens") * _number(shape, "width") >= LARGE_ROWS


def _number(shape: Shape, name: str) -> float:
    value = shape.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0
