"""The table of heads as text, as JSON, as heat maps and as a page."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xformer.inspect.analysis.importance import HeadImportance
from xformer.inspect.analysis.patterns import SCORES, UNITS
from xformer.inspect.analysis.statistics import Numbers
from xformer.inspect.battery import SHARES, HeadTable
from xformer.inspect.report_files import write_report
from xformer.plotting.charts import Figure
from xformer.plotting.heat import HeatChart
from xformer.plotting.page import Cell, Column, Section, page, pictures, table
from xformer.plotting.svg import figure_html
from xformer.plotting.ticks import column_digits

Grid = list[list[float]]
"""A number for each layer and head."""

_NOT = (
    "Scores say where a head's weight lies. They do not say what the head is for, nor what a prediction rests"
    " on: ablate it to see."
)


@dataclass(frozen=True)
class HeadReport:
    """A table of heads, and how important they are, for people.

    Attributes:
        table: what was measured.
        importance: of the same heads; None if it was not measured.
    """

    table: HeadTable
    importance: HeadImportance | None = None

    @property
    def columns(self) -> dict[str, Numbers]:
        """Further numbers (L, H) by name: importance by gradient, and by each kind of ablation."""
        found = self.importance
        if found is None:
            return {}
        changes = {f"{how} ablation": found.by_ablation(how).value for how in found.change}
        return {"gradient": found.by_gradient().value, **changes}

    def lines(self) -> Iterator[str]:
        """The table as lines of text; below it a head that attends to all tokens alike."""
        found = self.table
        columns = self._columns()
        names = ["layer", "head", *columns]
        rows = [
            [
                str(layer),
                str(head),
                *(texts[layer][head] for texts in columns.values()),
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
        if (cost := self.importance) is not None:
            parts.append(
                f"Gradient and ablation: {cost.measure} of {len(cost.language):,} texts; with a head"
                " replaced by its mean output (of all texts, or of the language's), how much it grows."
            )
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
            if self.importance is not None:
                one["importance"] = _importance(self.importance, layer, head)
            if found.languages != ("",):
                one["languages"] = {
                    tag: _known(dict(zip(SCORES, values, strict=True)))
                    for tag, values in zip(found.languages, by_language[layer][head], strict=True)
                }
            yield json.dumps(one, ensure_ascii=False)

    def figure(self) -> Figure:
        """A heat map of layers and heads for each score."""
        layers, heads = self.table.scores.shape[1:3]
        maps = self._numbers()
        charts = [
            HeatChart(
                f"{name}, {UNITS[name]}" if name in UNITS else name,
                [str(layer) for layer in range(layers)],
                [str(head) for head in range(heads)],
                values,
                _ends(values),
                "layer",
                "head",
            )
            for name, values in maps.items()
        ]
        return Figure(charts, f"What the heads of {self.table.name} look at", self.note())

    def page(self) -> str:
        """One HTML page: heat maps, and the table, which can be sorted."""
        texts, numbers = self._columns(), self._numbers()
        columns = [Column(name, number=True) for name in ("layer", "head", *texts)]
        spread = self.table.spread is not None
        rows = [
            [
                Cell(str(layer)),
                Cell(str(head)),
                *(
                    Cell(texts[name][layer][head], _value(values[layer][head]))
                    for name, values in numbers.items()
                ),
                *[Cell(self._spread(layer, head))] * spread,
            ]
            for layer, head in self._heads()
        ]
        inner = table([*columns, *[Column("largest spread")] * spread], rows, filters=["layer"])
        maps = [figure_html(Figure([chart])) for chart in self.figure().charts]
        sections = [
            Section("maps", "Layers and heads", pictures(maps), self.note()),
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

    def _numbers(self) -> dict[str, Grid]:
        """All numbers of the heads by name."""
        mean = self.table.mean
        own = {name: mean[..., place].tolist() for place, name in enumerate(SCORES)}
        return own | {name: values.tolist() for name, values in self.columns.items()}

    def _columns(self) -> dict[str, list[list[str]]]:
        """The same as texts. Importance has as many digits as its largest number needs."""
        found = {}
        for name, rows in self._numbers().items():
            finite = [value for row in rows for value in row if math.isfinite(value)]
            digits = 2 if name in SCORES else column_digits(finite)
            found[name] = [[_number(value, digits) for value in row] for row in rows]
        return found

    def _values(self, layer: int, head: int) -> dict[str, float]:
        """The scores of a head by name."""
        return dict(zip(SCORES, self.table.mean[layer, head].tolist(), strict=True))

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


def _importance(found: HeadImportance, layer: int, head: int) -> dict[str, Any]:
    """How important a head is, in all and by language."""

    def of(language: str | None) -> dict[str, Any]:
        numbers: dict[str, Any] = {"gradient": _finite(float(found.by_gradient(language).value[layer, head]))}
        for how in found.change:
            mean = found.by_ablation(how, language)
            ends = {"value": mean.value, "low": mean.low, "high": mean.high}
            numbers[f"{how} ablation"] = {
                name: _finite(float(value[layer, head])) for name, value in ends.items()
            }
        return numbers

    tags = [tag for tag in found.languages if tag]
    return {"measure": found.measure, **of(None), "languages": {tag: of(tag) for tag in tags}}


def _ends(values: Grid) -> tuple[float, float]:
    """Between what the shades lie: from zero, or from the smallest number if that is below."""
    finite = [value for row in values for value in row if math.isfinite(value)]
    return min([0.0, *finite]), max([1e-9, *finite])


def _number(value: float, digits: int = 2) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _value(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _known(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in values.items()}
