"""A chart with a row for each condition: a dot for each seed, their mean and its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xformer.plotting.shapes import BAR, Dot, Drawing, Key, Look, Path, Shape, Text
from xformer.plotting.ticks import tick_texts, ticks

from .outcomes import Interval

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP, _TITLE, _LABEL = 480, 196, 60, 19, 10, 20, 4
_SEED, _MEAN, _REFERENCE = "s8", "s0", "s1"


@dataclass(frozen=True)
class SeedChart:
    """A row for each condition, its mean in figures beside it.

    Attributes:
        title: of the chart, with the unit.
        rows: values of the seeds, by condition, from above.
        ends: of the axis; left out, those of the values. Intervals are cut there.
        gaps: conditions above which there is a gap, unless they are the first.
        references: values to compare with, by condition, each a bar across its row.
        reference: their name in the legend.
        signed: values are differences: they have a sign, and a line stands at zero.
    """

    title: str
    rows: Mapping[str, Sequence[float]]
    ends: tuple[float, float] | None = None
    gaps: frozenset[str] = frozenset()
    references: Mapping[str, float] = field(default_factory=dict)
    reference: str = ""
    signed: bool = False

    def drawings(self, titled: bool) -> list[Drawing]:
        """The chart; none where there is no row."""
        if not self.rows:
            return []
        low, high = self.ends or _around([value for values in self.rows.values() for value in values])
        top, right = _TOP + _TITLE * titled, _WIDTH - _RIGHT

        def along(value: float) -> float:
            return _LEFT + (min(max(value, low), high) - low) / (high - low) * (right - _LEFT)

        gaps = self.gaps & set(list(self.rows)[1:])
        bottom = top + _ROW * (len(self.rows) + 0.5 * len(gaps))
        shapes: list[Shape] = [Text(10, 13, self.title, "head")] if titled and self.title else []
        values = ticks(low, high)
        for value, text in zip(values, tick_texts(values), strict=True):
            x = along(value)
            shapes += [Path(((x, top), (x, bottom)), "grid"), Text(x, bottom + 14, text, "tick")]
        if self.signed and low < 0 < high:
            shapes.append(Path(((along(0), top), (along(0), bottom)), "mark", "no difference"))
        y = top - _ROW / 2
        for name, seeds in self.rows.items():
            y += _ROW * (1.5 if name in gaps else 1)
            one, written = Interval.of(seeds), self._written
            label = f"{name}: {written(one.mean)}, 95% interval {written(one.low)} to {written(one.high)}"
            shapes += [Text(_LEFT - 10, y + _LABEL, name, "name"), Path(((_LEFT, y), (right, y)), "grid")]
            if name in self.references:
                value = self.references[name]
                told = f"{name}, {self.reference}: {written(value)}"
                shapes.append(Dot(along(value), y, f"dot {_REFERENCE}", told, BAR))
            shapes.append(Path(((along(one.low), y), (along(one.high), y)), f"line {_MEAN}", label))
            shapes += [
                Dot(along(value), y, f"dot {_SEED}", f"{name}, seed {n}: {written(value)}")
                for n, value in enumerate(seeds)
            ]
            shapes.append(Dot(along(one.mean), y, f"dot {_MEAN}", label, 1))
            shapes.append(Text(_WIDTH - 12, y + _LABEL, written(one.mean), "name value"))
        keys = [
            Key("mean of the seeds, 95% interval", Look(_MEAN, 1)),
            Key("a seed", Look(_SEED, 0, connected=False)),
        ]
        if self.references:
            keys.append(Key(self.reference, Look(_REFERENCE, BAR, connected=False)))
        return [Drawing(_WIDTH, bottom + 22, shapes, keys)]

    def _written(self, value: float) -> str:
        return f"{value:+.3f}" if self.signed else f"{value:.3f}"


def _around(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    edge = 0.06 * (high - low) or 0.5
    return low - edge, high + edge
