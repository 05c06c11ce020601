"""Results as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from .bench import BASE, Result


def table(results: Sequence[Result]) -> Table:
    """A row for each side; one that was not timed has the reason in place of numbers."""
    found = Table(title="Encoding: sentences per second, medians; tokenisation included")
    for name in ("model", "threads", "side"):
        found.add_column(name, justify="left" if name != "threads" else "right")
    for name in (
        "sentences/s",
        f"x {BASE.rpartition(' ')[2]} peer",
        "x by processor",
        "model alone/s",
        "cosine mean",
        "lowest",
        "MiB",
    ):
        found.add_column(name, justify="right")
    before: tuple[str, int] | None = None
    for one in results:
        if before not in (None, (one.shape, one.threads)):
            found.add_section()
        before = one.shape, one.threads
        where = (one.shape, str(one.threads), one.side)
        if one.status != "ok":
            found.add_row(*where, one.status, "", "", "", "", "", "")
            continue
        mean, lowest = one.cosine or (float("nan"), float("nan"))
        ratios = ["" if ratio is None else f"{ratio:.2f}" for ratio in (one.ratio, one.cpu_ratio)]
        found.add_row(
            *where, f"{one.rate:,.0f}", *ratios, f"{one.model_rate:,.0f}", f"{mean:.5f}", f"{lowest:.5f}",
            f"{one.peak_bytes / 2**20:,.0f}",
        )  # fmt: skip
    return found


def notes(results: Sequence[Result]) -> list[str]:
    """Why sides were not timed, each reason once; and how long the texts are."""
    said = dict.fromkeys(f"{one.side}: {one.status}: {one.note}" for one in results if one.status != "ok")
    sizes = dict.fromkeys(
        f"{one.shape}: {one.texts:,} texts of {one.tokens / one.texts:.1f} tokens on average"
        for one in results
        if one.texts
    )
    return [*said, *sizes]


def to_json(result: Result, about: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    rates = {"sentences_per_s": result.rate, "model_alone_per_s": result.model_rate} if result.seconds else {}
    return {"bench": "encode", **asdict(result), **rates, **about}
