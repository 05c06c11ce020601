"""The figure and the tables of the experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xformer.plotting.charts import Figure

from .chart import SeedChart
from .elements import contrasts
from .outcomes import Interval, Run, by_condition, effects

_SCORES = {"sentences": "sentence top-1", "words": "word top-1", "loss": "masked-LM loss"}


def figure(runs: Sequence[Run]) -> Figure:
    """Twin sentences and twin words found under every condition, and what each element adds to both."""
    found, first = by_condition(runs), runs[0].outcome
    counts = {"sentences": ("Twin sentence", first.n_sentences), "words": ("Twin word", first.n_words)}
    charts = [
        SeedChart(
            f"{thing}: top-1 of {count:,} (chance {1 / count:.3f})",
            {name: [one.scores[key] for one in its] for name, its in found.items()},
            ends=(0.0, 1.0),
            gaps=frozenset({"sharing", "nothing"}),
            references={name: _untrained(its, key) for name, its in found.items()},
            reference="the untrained model, mean of the seeds",
        )
        for key, (thing, count) in counts.items()
    ]
    charts += [
        SeedChart(
            f"{thing}: what an element adds, paired by seed",
            effects(runs, key),
            ends=(-1.0, 1.0),
            gaps=frozenset(one.name for one in contrasts() if one.beside == "everything"),
            signed=True,
        )
        for key, (thing, _) in counts.items()
    ]
    note = (
        f"Held-out sentences, and words read alone, after block {first.middle}. Sharing: special tokens,"
        " positions and vocabulary, but no translations. Intervals are Student's t over the seeds, cut at the"
        " ends of the axis."
    )
    title = "What makes a tiny model multilingual: English and its fake twin"
    return Figure(charts, title, note, columns=2)


def tables(runs: Sequence[Run]) -> Iterator[str]:
    """Every condition beside the untrained model, then what each element adds, then all layers, in lines."""
    yield f"{'':32}" + "".join(f"{name:>26}{'untrained':>11}" for name in _SCORES.values())
    for name, its in by_condition(runs).items():
        cells = []
        for key in _SCORES:
            cells.append(_cell([run.scores[key] for run in its], "").rjust(26))
            cells.append(f"{_untrained(its, key):11.3f}")
        yield f"{name:32}" + "".join(cells)
    columns = {key: effects(runs, key) for key in _SCORES}
    if columns["sentences"]:
        yield ""
        yield f"{'what an element adds, by seed':32}" + "".join(f"{name:>30}" for name in _SCORES.values())
    for name in columns["sentences"]:
        yield f"{name:32}" + "".join(_cell(columns[key][name], "+").rjust(30) for key in _SCORES)
    layers = range(len(runs[0].outcome.sentences))
    yield ""
    yield f"{'top-1 after so many blocks':32}" + "".join(
        f"{f'{thing}, {layer}':>15}" for thing in ("sentence", "word") for layer in layers
    )
    for name, its in by_condition(runs).items():
        means = [_mean([run.outcome.sentences[layer] for run in its]) for layer in layers]
        means += [_mean([run.outcome.words[layer] for run in its]) for layer in layers]
        yield f"{name:32}" + "".join(f"{value:15.3f}" for value in means)


def _cell(values: Sequence[float], sign: str) -> str:
    one = Interval.of(values)
    return f"{one.mean:{sign}.3f} ({one.low:{sign}.3f} to {one.high:{sign}.3f})"


def _untrained(runs: Sequence[Run], score: str) -> float:
    return _mean([one.untrained_scores[score] for one in runs])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
