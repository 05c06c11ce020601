"""The figure and the table of the experiment: a row for each condition, a dot for each seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xformer.plotting.charts import Figure
from xformer.plotting.shapes import Dot, Drawing, Key, Look, Path, Shape, Text
from xformer.plotting.ticks import number_text, tick_texts, ticks

from .bench import Interval, Run, by_condition

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP, _TITLE = 460, 190, 54, 19, 10, 20
_SEED, _MEAN = "s8", "s0"


@dataclass(frozen=True)
class SeedChart:
    """A row for each condition: a dot for each seed, their mean, and its interval.

    Attributes:
        title: of the chart, with the unit.
        rows: values of the seeds, by condition, from above.
        ends: of the axis; left out, those of what is drawn. Intervals are cut there.
        gaps: conditions above which there is a gap.
    """

    title: str
    rows: dict[str, Sequence[float]]
    ends: tuple[float, float] | None = None
    gaps: frozenset[str] = frozenset()

    def drawings(self, titled: bool) -> list[Drawing]:
        """The chart; none where there is no row."""
        if not self.rows:
            return []
        intervals = {name: Interval.of(values) for name, values in self.rows.items()}
        low, high = self.ends or _around([value for values in self.rows.values() for value in values])
        top, right = _TOP + _TITLE * titled, _WIDTH - _RIGHT

        def along(value: float) -> float:
            return _LEFT + (min(max(value, low), high) - low) / (high - low) * (right - _LEFT)

        bottom = top + _ROW * (len(self.rows) + 0.5 * len(self.gaps & set(self.rows)))
        shapes: list[Shape] = [Text(10, 13, self.title, "head")] if titled and self.title else []
        values = ticks(low, high)
        for value, text in zip(values, tick_texts(values), strict=True):
            x = along(value)
            shapes += [Path(((x, top), (x, bottom)), "grid"), Text(x, bottom + 14, text, "tick")]
        y = top - _ROW / 2
        for name, seeds in self.rows.items():
            y += _ROW * (1.5 if name in self.gaps else 1)
            one = intervals[name]
            label = f"{name}: {_digits(one.mean)}, 95% interval {_digits(one.low)} to {_digits(one.high)}"
            shapes += [Text(_LEFT - 10, y + 4, name, "name"), Path(((_LEFT, y), (right, y)), "grid")]
            shapes.append(Path(((along(one.low), y), (along(one.high), y)), f"line {_MEAN}", label))
            shapes += [
                Dot(along(value), y, f"dot {_SEED}", f"{name}, seed {n}: {_digits(value)}")
                for n, value in enumerate(seeds)
            ]
            shapes.append(Dot(along(one.mean), y, f"dot {_MEAN}", label, 1))
            shapes.append(Text(_WIDTH - 12, y + 4, _digits(one.mean), "name value"))
        keys = [
            Key("mean of the seeds, 95% interval", Look(_MEAN, 1)),
            Key("a seed", Look(_SEED, 0, connected=False)),
        ]
        return [Drawing(_WIDTH, bottom + 22, shapes, keys)]


def figure(runs: Sequence[Run]) -> Figure:
    """Twin sentences, twin words, and the masked-LM loss of every condition."""
    found = by_condition(runs)
    names = {
        "sentences": ("Twin sentence found, top-1", (0.0, 1.0)),
        "words": ("Twin word found, top-1", (0.0, 1.0)),
        "loss": ("Masked-LM loss, nats per hidden token", None),
    }
    gaps = frozenset({"sharing", "nothing"})
    charts = [
        SeedChart(title, {name: [one.scores[key] for one in its] for name, its in found.items()}, ends, gaps)
        for key, (title, ends) in names.items()
    ]
    first = runs[0].outcome
    note = (
        f"Middle layer (after block {first.middle}). Held-out: {first.n_sentences:,} sentences. Chance is"
        f" {number_text(1 / first.n_sentences)} for sentences and about {number_text(1 / first.n_words)} for"
        " words. Sharing: special tokens, positions and vocabulary, no translations."
    )
    return Figure(charts, "What makes a tiny model multilingual: one language and its fake copy", note)


def table(runs: Sequence[Run]) -> Iterator[str]:
    """A line for each condition: mean and interval of each score."""
    yield f"{'':32}{'sentence top-1':>26}{'word top-1':>26}{'masked-LM loss':>26}"
    for name, its in by_condition(runs).items():
        cells = []
        for key in ("sentences", "words", "loss"):
            one = Interval.of([run.scores[key] for run in its])
            cells.append(f"{one.mean:.3f} ({one.low:.3f} to {one.high:.3f})")
        yield f"{name:32}" + "".join(cell.rjust(26) for cell in cells)


def _digits(value: float) -> str:
    return f"{value:.3f}"


def _around(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    edge = 0.06 * (high - low) or 0.5
    return low - edge, high + edge
