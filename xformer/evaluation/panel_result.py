"""One evaluation of the panel: its numbers, its line in `panel.jsonl`, and its table in a terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from xformer.evaluation.names import short_names

_BETWEEN, _KEPT_FREE = 3, 10
"""Columns of space between two languages; rows that the table leaves free for the lines around it."""

_UNTRACKED = ("step", "elapsed", "seconds")


@dataclass(frozen=True)
class PanelResult:
    """The scores of one evaluation. The fields are the keys of a line in `panel.jsonl`.

    Printed to a `rich` console it is a table that fits the terminal: as many languages, and as many columns
    for each, as there is room for. Names are dropped first, then columns for the shares of the training
    texts, then the languages with the best retrieval, and bits per byte in a terminal too narrow for one
    language.

    Attributes:
        step: optimizer steps done.
        elapsed: seconds of training.
        centroid_gap: of sentence vectors.
        anisotropy: of sentence vectors.
        hubness: of the pivot's sentence vectors, mean over languages.
        alignment_by_layer: mean over languages, after the embedding and after each block that is run.
        mean_top1: over languages, mean of both directions.
        mean_bits_per_byte: over languages.
        top1: by language tag.
        bits_per_byte: by language tag.
        asked: by language tag, the share of the training texts so far that the settings ask for.
        seen: by language tag, the share of the training texts so far that it had.
        seconds: how long the evaluation took.
    """

    step: int
    elapsed: float
    centroid_gap: float
    anisotropy: float
    hubness: float
    alignment_by_layer: Sequence[float]
    mean_top1: float
    mean_bits_per_byte: float
    top1: Mapping[str, float]
    bits_per_byte: Mapping[str, float]
    asked: Mapping[str, float]
    seen: Mapping[str, float]
    seconds: float

    def to_json(self) -> str:
        """One line of JSON. Numbers are rounded to 5 places; NaN and infinity become null."""
        table = {name: _rounded(value) for name, value in vars(self).items()}
        return json.dumps(table, ensure_ascii=False)

    def tracked(self) -> dict[str, float]:
        """Its finite numbers for trackers: `panel/…`, and by language `panel_top1/…`, for example."""
        values = {name: value for name, value in vars(self).items() if name not in _UNTRACKED}
        numbers = {f"panel/{name}": one for name, one in values.items() if isinstance(one, float)}
        for layer, one in enumerate(self.alignment_by_layer):
            numbers[f"panel_alignment_by_layer/{layer}"] = one
        for name in ("top1", "bits_per_byte"):
            numbers |= {f"panel_{name}/{tag}": one for tag, one in values[name].items()}
        return {name: one for name, one in numbers.items() if math.isfinite(one)}

    def summary(self) -> tuple[str, str, str]:
        """The means over languages, in three lines of text."""
        bits = f"{self.mean_bits_per_byte:.3f} bits per byte"
        return (
            f"step {self.step:,}, dev: top-1 {self.mean_top1:.3f}, {bits}",
            f"centroid gap {self.centroid_gap:.2f}, anisotropy {self.anisotropy:.2f},"
            f" hubness {self.hubness:.2f}",
            "alignment by layer " + " → ".join(f"{value:.2f}" for value in self.alignment_by_layer),
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.summary():
            yield Text(line, style="dim", no_wrap=True, overflow="ellipsis")
        tags = sorted(self.top1, key=lambda tag: (-self.top1[tag], tag))
        if not tags:
            return
        names = short_names(tags)
        name = max(4, *map(len, tags))
        height = max(4, (options.height or console.height) - _KEPT_FREE)
        narrow = options.max_width < name + len(" top-1 bits/B")
        wide, layouts = max(name, *map(len, names.values())), [(name, True), (name, False)]
        # Names first, if all languages fit with them; then shares; then tags and scores alone.
        layouts = [(name, False)] if narrow else [(wide, True), (wide, False), *layouts]
        for name, shares in layouts:
            heading = f"{'':{name}} top-1"
            heading += "" if narrow else " bits/B" + ("  asked   seen" if shares else "")
            columns = max(1, (options.max_width + _BETWEEN) // (len(heading) + _BETWEEN))
            if len(tags) <= columns * height and len(heading) <= options.max_width:
                break
        left_out = max(0, len(tags) - columns * height)
        tags = tags[left_out:]
        rows = -(-len(tags) // columns)
        columns = -(-len(tags) // rows)
        between = " " * _BETWEEN
        yield Text(between.join([heading] * columns), style="dim", no_wrap=True)
        for row in range(rows):
            shown = [names[tag] if name == wide else tag for tag in tags[row::rows]]
            cells = [
                self._cell(tag, f"{text:{name}}", bits=not narrow, shares=shares)
                for tag, text in zip(tags[row::rows], shown, strict=True)
            ]
            yield Text(between, no_wrap=True).join(cells)
        if left_out:
            yield Text(f"and {left_out} more with higher top-1", style="dim", no_wrap=True)

    def _cell(self, tag: str, name: str, *, bits: bool, shares: bool) -> Text:
        cell = Text(name, style="bold")
        cell.append(f" {self.top1[tag]:5.2f}", style="not bold green")
        if bits:
            found = self.bits_per_byte.get(tag)
            cell.append(f" {found:6.2f}" if found is not None else " " * 7, style="not bold cyan")
        if shares:
            for share, style in ((self.asked, "not bold dim"), (self.seen, "not bold")):
                cell.append(f" {100 * share[tag]:5.1f}%" if tag in share else " " * 7, style=style)
        return cell


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value
