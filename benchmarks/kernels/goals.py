"""The goals for the kernels on an H100: one for each bound, compared with the records."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
    share_of_roofline,
    slower_than,
)
from .record import read_folder

if TYPE_CHECKING:
    from rich.table import Table

# "At 250k vocabulary": XLM-R's has 250,002 entries.
LARGE_VOCABULARY = 250_000
# "From 32 MiB up": of the rows to be normed, in half precision.
LARGE_ROWS = 32 * 2**20 // 2


def goals() -> list[Goal]:
    """All of them, in the order of the list they come from."""
    return [*_attention(), *_loss(), *_norms()]


def outcomes(folder: Path, device: str = "H100") -> list[Outcome]:
    """Compare a folder of records with the goals.

    Args:
        folder: holds `<device>.jsonl` files.
        device: part of the name of the device that is asked about.

    Raises:
        InputError: a line is not a record.
    """
    grid = {operation.name: operation.cases("cuda", False) for operation in operations()}
    return judge(read_folder(folder), grid, goals(), device)


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
        style = {"met": "green", "not met": "bold red", "not measured": "dim"}[one.result]
        shown.add_row(
            one.goal,
            f"{one.sense} {one.wanted:g}",
            "" if one.measured is None else f"{one.measured:.3g}",
            Text(one.result, style),
            Text(f"{one.text}; {one.note}"),
        )
    met = sum(one.met for one in found)
    open_ = sum(one.measured is None for one in found)
    shown.caption = Text(f"{met} of {len(found)} met, {open_} not measured")
    shown.caption_justify = "left"
    return shown


def _attention() -> list[Goal]:
    goal = partial(Goal, sense="at least", operation="attention")
    forward, backward = partial(goal, direction="forward"), partial(goal, direction="backward")
    ragged = "useful throughput over the best peer's on ragged batches of head 32 and 64, geometric mean"
    dense = "speed over SDPA's flash (FlashAttention-2) on dense batches, {}, the worst case"
    long = "speed over cuDNN on dense batches of head {}, N ≥ 2,048, forward, the worst case"
    statistics = (
        "time of all statistics, with those of keys, over that of the plain forward pass, the worst case"
    )
    bias = "speed over FlexAttention's with a T5 bias and its gradient, backward, the worst case"
    is_ragged = {"within": _ragged, "value": faster_than_best("varlen_attn"), "fold": "mean"}
    is_dense = {"within": _dense, "value": faster_than("sdpa flash")}
    cudnn = partial(forward, value=faster_than("sdpa cudnn"))
    return [
        forward("attention-ragged-forward", f"{ragged}, forward", 1.2, **is_ragged),
        backward("attention-ragged-backward", f"{ragged}, backward", 1.2, **is_ragged),
        forward("attention-dense-forward-fa2", dense.format("forward"), 1.0, **is_dense),
        cudnn("attention-dense-forward-cudnn-d64", long.format(64), 0.9, within=partial(_long, 64)),
        cudnn("attention-dense-forward-cudnn-d128", long.format(128), 0.8, within=partial(_long, 128)),
        backward("attention-dense-backward-fa2", dense.format("backward"), 1.0, **is_dense),
        Goal(
            "attention-statistics", statistics, 1.5, "at most", "attention_statistics", "forward", _any,
            slower_than("xformer triton forward"),
        ),
        backward("attention-t5-bias-backward", bias, 3.0, within=_biased, value=faster_than("flex")),
    ]  # fmt: skip


def _loss() -> list[Goal]:
    large = "at a vocabulary of 250k with 15% of the positions chosen, forward and backward, the worst case"
    equal = "on equal rows, forward and backward, the worst case"
    goal = partial(Goal, operation="linear_cross_entropy", direction="forward+backward")
    full, liger = "eager full logits", "liger"
    return [
        goal(
            "linear-cross-entropy-time", f"speed over full logits {large}", 4.0, "at least",
            within=_large_selected, value=faster_than(full),
        ),
        goal(
            "linear-cross-entropy-memory", f"peak memory over that of full logits {large}", 0.1, "at most",
            within=_large_selected, value=memory_of(full),
        ),
        goal(
            "linear-cross-entropy-liger-time", f"speed over Liger {equal}", 1.0, "at least",
            within=_all_rows, value=faster_than(liger),
        ),
        goal(
            "linear-cross-entropy-liger-memory", f"peak memory over Liger's {equal}", 1.0, "at most",
            within=_all_rows, value=memory_of(liger),
        ),
    ]  # fmt: skip


def _norms() -> list[Goal]:
    found = []
    speed = "speed over {} at every width from 64 to 4,096, forward and backward, the worst case"
    copy = "share of a large copy's bandwidth from 32 MiB up, forward and backward, the worst case"
    torch, liger = faster_than("eager"), faster_than("liger")
    for name, operation in (("layer-norm", "layer_norm"), ("rms-norm", "rms_norm")):
        goal = partial(Goal, sense="at least", operation=operation, direction="forward+backward")
        found += [
            goal(f"{name}-torch", speed.format("PyTorch's"), 1.0, within=_any, value=torch),
            goal(f"{name}-liger", speed.format("Liger's"), 1.0, within=_any, value=liger),
            goal(f"{name}-bandwidth", copy, 0.85, within=_large_rows, value=share_of_roofline),
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


def _long(d_head: int, sweep: str, shape: Shape) -> bool:
    return _dense(sweep, shape) and shape.get("d_head") == d_head and _number(shape, "max_length") >= 2048


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
