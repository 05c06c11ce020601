"""Records as tables for people."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from .cases import AttentionCase, Direction
from .record import Environment, Record


def heading(where: Environment) -> str:
    """One line that says where the numbers come from."""
    triton = f"Triton {where.triton}" if where.triton else "no Triton"
    versions = f"torch {where.torch}, {triton}, commit {where.commit}"
    return f"{where.device}, {where.threads} CPU threads, {versions}"


def table(case: AttentionCase, records: list[Record]) -> Table:
    """One row for each implementation; times forward and forward+backward, or why there is none.

    Args:
        case: what was measured.
        records: all records of that case.

    Returns:
        The table, some 80 columns wide; the fastest time of each direction stands out. Ragged batches show
        tokens per second, dense ones FLOP/s, as the literature does.
    """
    title = (
        f"{case.name}: {case.n_tokens:,} tokens, {case.n_heads} heads of {case.d_head}, {records[0].dtype}, "
        f"{case.fill:.0%} of a padded batch"
    )
    shown = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0)
    shown.add_column("", no_wrap=True)
    rate = "FLOP/s" if case.fill == 1 else "tokens/s"
    directions: tuple[Direction, ...] = ("forward", "forward+backward")
    for direction in directions:
        shown.add_column(f"{direction}\nms (p20–p80)", justify="right", no_wrap=True)
        shown.add_column(f"\n{rate}", justify="right", no_wrap=True)
        shown.add_column("\nerror", justify="right", no_wrap=True)
    by_key = {(record.implementation, record.direction): record for record in records}
    timed = [(record.direction, record.seconds["p50"]) for record in records if record.seconds]
    best = {d: min((time for direction, time in timed if direction == d), default=0.0) for d in directions}
    for name in dict.fromkeys(record.implementation for record in records):
        cells: list[Text] = []
        for direction in directions:
            cells += _cells(by_key[name, direction], rate, best[direction])
        shown.add_row(name, *cells)
    notes = dict.fromkeys(f"{record.implementation}: {record.note}" for record in records if record.note)
    legend = "error: distance from fp64 as a multiple of plain PyTorch's; above 2 is wrong"
    shown.caption = Text("\n".join([legend, *notes]), "dim")
    shown.caption_justify = "left"
    return shown


def _cells(record: Record, rate: str, best: float) -> tuple[Text, Text, Text]:
    """Time, rate, error."""
    error = "" if record.error_multiple is None else f"{record.error_multiple:.2f}"
    if record.seconds is None:
        if record.status == "unsupported":
            return Text("–"), Text(), Text()
        return Text(record.status.upper(), "bold red"), Text(), Text(error, "bold red")
    low, middle, high = (_short(record.seconds[name] * 1e3) for name in ("p20", "p50", "p80"))
    time = Text(middle, "bold green" if record.seconds["p50"] == best else "")
    time.append(f" ({low}–{high})", "dim")
    amount = (record.flops_per_second if rate == "FLOP/s" else record.tokens_per_second) or 0.0
    return time, Text(_short(amount)), Text(error)


def _short(value: float) -> str:
    """Three digits and a suffix: `0.0123`, `4.56`, `789`, `12.3k`."""
    steps = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (0.0, ""))
    limit, suffix = next(step for step in steps if value >= step[0] * 0.9995)
    value /= limit or 1
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3
    return f"{value:.{digits}f}{suffix}"
