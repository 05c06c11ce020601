"""The table of heads as text, as JSON, as heat maps and as a page."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from xformer.inspect.analysis.patterns import SCORES, UNITS
from xformer.inspect.battery import SHARES, HeadTable
from xformer.inspect.report_files import write_report
from xformer.plotting.charts import Figure
from xformer.plotting.heat import HeatChart
from xformer.plotting.page import Cell, Column, Section, page, pictures, table
from xformer.plotting.svg import figure_html

_NOT = (
    "Scores say where a head's weight lies. They do not say what the head is for, nor what a prediction rests"
    " on: ablate it to see."
)


@dataclass(frozen=True)
class HeadReport:
    """A table of heads, and further columns for it.

    Attributes:
        table: what was measured.
        columns: further numbers (L, H) by name, such as importance.
    """

    table: HeadTable
    columns: Mapping[str, Tensor]

    def lines(self) -> Iterator[str]:
        """The table as lines of text; below it a head that attends to all tokens alike."""
        found = self.table
        names = ["layer", "head", *SCORES, *self.columns]
        rows = [
            [
                str(layer),
                str(head),
                *map(_number, self._values(layer, head).values()),
                self._spread(layer, head),
            ]
            for layer, head in self._heads()
        ]
        even = [*map(_number, found.uniform_mean.tolist()), *[""] * len(self.columns)]
        rows.append(["uniform", "", *even, ""])
        heads = [*names, "largest spread between languages" if found.spread is not None else ""]
        widths = [max(map(len, column)) for column in zip(*rows, heads, strict=True)]
        for row in (heads, *rows):
            cells = [cell.rjust(wide) for cell, wide in zip(row[:-1], widths, strict=False)]
            yield f"{'  '.join(cells)}  {row[-1]}".rstrip()

    def note(self) -> str:
        """What was measured, and how it is to be read."""
        found = self.table
        several = len(found.languages) > 1
        what = f"{sum(found.texts):,} texts, {found.tokens:,} tokens"
        parts = [f"{found.source}: {what}{f' in {len(found.languages)} languages' if several else ''}."]
        if found.left_out:
            parts.append(f"{found.left_out:,} texts without tokens, or too long for the model, are left out.")
        parts.append("Entropy in nats, distance in tokens, all else shares of the weight.")
        if found.spread is not None:
            parts.append(
                "Spread: the share in which languages differ most, less what their texts' lengths give;"
                " * more than chance gives."
            )
        parts.append(
            f"{_NOT} Largest disagreement of weights with the kernel's outputs: {found.disagreement:.1e}."
        )
        return " ".join(parts)

    def objects(self) -> Iterator[str]:
        """A line of JSON for each head."""
        found = self.table
        by_language = found.scores.permute(1, 2, 0, 3).tolist()
        for layer, head in self._heads():
            one: dict[str, Any] = {"layer": layer, "head": head, **_known(self._values(layer, head))}
            if (spread := found.spread) is not None:
                row = layer * found.scores.shape[2] + head
                one["spread"] = {
                    name: {
                        "difference": _finite(float(spread.spread[row, place])),
                        "lowest": found.languages[int(spread.lowest[row, place])],
                        "highest": found.languages[int(spread.highest[row, place])],
                        "chance": _finite(float(spread.threshold[place])),
                    }
                    for place, name in enumerate(SHARES)
                }
            if found.languages != ("",):
                one["languages"] = {
                    tag: _known(dict(zip(SCORES, values, strict=True)))
                    for tag, values in zip(found.languages, by_language[layer][head], strict=True)
                }
            yield json.dumps(one, ensure_ascii=False)

    def figure(self) -> Figure:
        """A heat map of layers and heads for each score."""
        layers, heads = self.table.scores.shape[1:3]
        mean = self.table.mean
        maps = {name: mean[..., place] for place, name in enumerate(SCORES)} | dict(self.columns)
        charts = [
            HeatChart(
                f"{name}, {UNITS[name]}" if name in UNITS else name,
                [str(layer) for layer in range(layers)],
                [str(head) for head in range(heads)],
                values.tolist(),
                (0.0, max(1e-9, float(values.nan_to_num(0.0).max()))),
                "layer",
                "head",
            )
            for name, values in maps.items()
        ]
        return Figure(charts, f"What the heads of {self.table.name} look at", self.note())

    def page(self) -> str:
        """One HTML page: heat maps, and the table, which can be sorted."""
        columns = [Column(name, number=True) for name in ("layer", "head", *SCORES, *self.columns)]
        spread = self.table.spread is not None
        rows = [
            [
                Cell(str(layer)),
                Cell(str(head)),
                *(
                    Cell(_number(value), "" if math.isnan(value) else repr(value))
                    for value in self._values(layer, head).values()
                ),
                *[Cell(self._spread(layer, head))] * spread,
            ]
            for layer, head in self._heads()
        ]
        inner = table([*columns, *[Column("largest spread")] * spread], rows, filters=["layer"])
        sections = [
            Section("maps", "Layers and heads", pictures([figure_html(self.figure())])),
            Section("table", "Table", inner, "A head that attends to all tokens alike would have "
                    + ", ".join(f"{name} {_number(value)}" for name, value in zip(
                        SCORES, self.table.uniform_mean.tolist(), strict=True)) + "."),
        ]  # fmt: skip
        return page(f"Heads of {self.table.name}", sections)

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write `heads.html`, `heads.svg`, `heads.jsonl`, and `heads.png` where matplotlib is installed.

        Args:
            folder: where; made if it is missing.

        Returns:
            The files.
        """
        lines = "".join(f"{line}\n" for line in self.objects())
        return write_report(folder, "heads", self.page(), self.figure(), {"jsonl": lines})

    def _heads(self) -> Iterator[tuple[int, int]]:
        layers, heads = self.table.scores.shape[1:3]
        return ((layer, head) for layer in range(layers) for head in range(heads))

    def _values(self, layer: int, head: int) -> dict[str, float]:
        """All numbers of a head by name."""
        own = dict(zip(SCORES, self.table.mean[layer, head].tolist(), strict=True))
        return own | {name: float(values[layer, head]) for name, values in self.columns.items()}

    def _spread(self, layer: int, head: int) -> str:
        """The score in which languages differ most: `0.31* delimiter, de above ja`."""
        if (found := self.table.spread) is None:
            return ""
        row = layer * self.table.scores.shape[2] + head
        place = int(found.largest[row])
        value = float(found.spread[row, place])
        if math.isnan(value):
            return ""
        low, high = (self.table.languages[int(one[row, place])] for one in (found.lowest, found.highest))
        star = "*" if bool(found.beyond_chance[row, place]) else ""
        return f"{value:.2f}{star} {SHARES[place]}, {high} above {low}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _known(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in values.items()}
