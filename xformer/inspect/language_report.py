"""What languages share and what they don't: as text, as JSON, as charts and as a page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xformer.inspect.analysis.selectivity import Selectivity
from xformer.inspect.language_battery import LanguageTable
from xformer.inspect.report_files import write_report
from xformer.plotting.charts import Axis, DotChart, Figure, LineChart, Series
from xformer.plotting.heat import HeatChart
from xformer.plotting.page import Cell, Column, Section, page, pictures, table
from xformer.plotting.svg import figure_html

_MEASURES = ("cka", "cosine", "distance")
_COUNTED = ("neurons", "heads")


@dataclass(frozen=True)
class LanguageReport:
    """A `LanguageTable` for people.

    Attributes:
        table: what was measured.
    """

    table: LanguageTable

    def lines(self) -> Iterator[str]:
        """A row for each layer, then one for each language."""
        heads = ["layer", "CKA", "chance", "cosine", "chance", "distance", *self._counts_of()]
        yield from _aligned([heads, *self._layers()])
        yield ""
        yield from _aligned([["language", "nearest", "CKA", *self._counts_of()], *self._by_language()])

    def note(self) -> str:
        """What was measured, and how it is to be read."""
        found = self.table
        parts = [
            f"{found.source}: {found.messages:,} messages in each of {len(found.languages)} languages.",
            "CKA and cosine of translations are means over pairs of languages; chance is with messages in"
            " another order. Distance is that of centroids beside the spread within a language.",
        ]
        if found.left_out:
            parts.append(f"Left out, as they share too few messages: {', '.join(found.left_out)}.")
        for what in _COUNTED:
            one = getattr(found, what)["language"]
            parts.append(
                f"{what.capitalize()}: {int(one.selective.sum()):,} of {len(one.entropy):,} are used"
                f" differently, beyond chance (uncorrected {one.uncorrected:,}, where chance gives"
                f" {one.by_chance:,.0f}); {int(one.own.sum()):,} of these one language uses twice as much"
                " as any other."
            )
        parts.append("That a language alone uses a unit does not say that it needs it: ablate it to see.")
        return " ".join(parts)

    def object(self) -> str:
        """All of it as one line of JSON."""
        found = self.table
        whole: dict[str, Any] = {
            "model": found.name,
            "source": found.source,
            "languages": list(found.languages),
            "scripts": dict(zip(found.languages, found.scripts, strict=True)),
            "left_out": list(found.left_out),
            "messages": found.messages,
            "layers": [
                {
                    "layer": name,
                    **{f"mean_{key}": _known(value) for key, value in here.means().items()},
                    **{f"chance_{key}": _known(chance.means()[key]) for key in ("cka", "cosine")},
                    **{key: _matrix(getattr(here, key)) for key in _MEASURES},
                }
                for name, here, chance in zip(self._names(), found.similarity, found.chance, strict=True)
            ],
        }
        for what in _COUNTED:
            whole[what] = {kind: self._units(one, kind) for kind, one in getattr(found, what).items()}
        return json.dumps(whole, ensure_ascii=False)

    def figures(self) -> list[Figure]:
        """By layer; languages beside one another where they are most alike; units of one language."""
        found = self.table
        labels = tuple((float(place), name) for place, name in enumerate(self._names()))
        axis = Axis("layer", places=labels)
        means = [one.means() for one in found.similarity]
        chance = [one.means() for one in found.chance]

        def line(name: str, values: list[dict[str, float]], key: str) -> Series:
            return Series(name, [(float(place), one[key]) for place, one in enumerate(values)])

        by_layer = [
            LineChart(title, axis, [line(title, means, key), line("chance", chance, key)], lasts=True)
            for title, key in (("CKA of languages", "cka"), ("Cosine of translations", "cosine"))
        ]
        by_layer.append(LineChart("Distance of centroids", axis, [line("distance", means, "distance")]))
        best = max(range(len(means)), key=lambda place: means[place]["cka"])
        tags = list(found.languages)
        beside = HeatChart(
            f"CKA after {self._names()[best]}", tags, tags, found.similarity[best].cka.tolist(), (0.0, 1.0)
        )
        counts = {
            what: dict(
                zip(tags, map(float, _count(getattr(found, what)["language"], len(tags))), strict=True)
            )
            for what in _COUNTED
        }
        figures = [
            Figure(by_layer, f"Where the languages of {found.name} meet", self.note()),
            Figure([beside]),
        ]
        if any(sum(one.values()) for one in counts.values()):
            figures.append(Figure([DotChart("Units of one language, number", counts)]))
        return figures

    def page(self) -> str:
        """One HTML page."""
        layers = [
            Column(name, number=True) for name in ("layer", "CKA", "chance", "cosine", "chance of cosine")
        ]
        layers += [Column(name, number=True) for name in ("distance", *self._counts_of())]
        languages = [Column("language"), Column("nearest"), Column("CKA", number=True)]
        languages += [Column(name, number=True) for name in self._counts_of()]
        parts = [
            table(layers, [[Cell(text) for text in row] for row in self._layers()], caption="By layer"),
            table(
                languages,
                [[Cell(text) for text in row] for row in self._by_language()],
                caption="By language",
            ),
        ]
        sections = [
            Section("charts", "Charts", pictures([figure_html(one) for one in self.figures()])),
            Section("tables", "Tables", pictures(parts)),
        ]
        return page(f"Languages of {self.table.name}", sections)

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write `languages.html`, `.svg`, `.json`, and `.png` where matplotlib is installed; the files."""
        charts = [chart for one in self.figures() for chart in one.charts]
        figure = Figure(charts, f"The languages of {self.table.name}", self.note())
        return write_report(folder, "languages", self.page(), figure, {"json": f"{self.object()}\n"})

    def _names(self) -> list[str]:
        return ["embeddings", *(f"block {layer}" for layer in range(self.table.layers))]

    def _counts_of(self) -> list[str]:
        return [f"{what} of one {kind}" for what in _COUNTED for kind in getattr(self.table, what)]

    def _layers(self) -> list[list[str]]:
        found = self.table
        rows = []
        for place, name in enumerate(self._names()):
            here, chance = found.similarity[place].means(), found.chance[place].means()
            numbers = [here["cka"], chance["cka"], here["cosine"], chance["cosine"], here["distance"]]
            counts = [
                str(int(one.own.reshape(found.layers, -1)[place - 1].sum())) if place else ""
                for what in _COUNTED
                for one in getattr(found, what).values()
            ]
            rows.append([name, *(f"{value:.2f}" for value in numbers), *counts])
        return rows

    def _by_language(self) -> list[list[str]]:
        """Its nearest language after the last block, and its units."""
        found = self.table
        last = found.similarity[-1].cka.nan_to_num(-torch.inf)
        rows = []
        for place, tag in enumerate(found.languages):
            nearest = int(last[place].argmax())
            counts = []
            for what in _COUNTED:
                for kind, one in getattr(found, what).items():
                    names = found.labels(kind)
                    label = tag if kind == "language" else found.scripts[place]
                    counts.append(str(_count(one, len(names))[names.index(label)]))
            rows.append([tag, found.languages[nearest], f"{float(last[place, nearest]):.2f}", *counts])
        return rows

    def _units(self, one: Selectivity, kind: str) -> dict[str, Any]:
        """The units of one label, the most selective first."""
        names, per_layer = self.table.labels(kind), len(one.entropy) // self.table.layers
        shares = one.shares
        chosen = [int(unit) for unit in one.score.argsort(descending=True) if bool(one.own[unit])]
        return {
            "units": len(one.entropy),
            "threshold": _known(one.threshold),
            "used_differently": int(one.selective.sum()),
            "uncorrected": one.uncorrected,
            "uncorrected_by_chance": one.by_chance,
            "own": [
                {
                    "layer": unit // per_layer,
                    "number": unit % per_layer,
                    kind: names[int(one.label[unit])],
                    "share": _known(float(shares[:, unit].max())),
                    "entropy": _known(float(one.entropy[unit])),
                    "score": _known(float(one.score[unit])),
                }
                for unit in chosen
            ],
        }


def _count(one: Selectivity, n_labels: int) -> list[int]:
    """How many units each label has for itself."""
    found: list[int] = torch.bincount(one.label[one.own], minlength=n_labels).tolist()
    return found


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    """Rows as lines, the first column to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(wide) for cell, wide in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells]).rstrip()


def _known(value: float) -> float | None:
    return round(value, 6) if abs(value) < float("inf") else None


def _matrix(values: Tensor) -> list[list[float | None]]:
    return [[_known(value) for value in row] for row in values.tolist()]
