"""A model inside and outside what it was trained on, side by side."""

from __future__ import annotations

from rich.table import Table

from xformer.data.languages import counted, named
from xformer.evaluation.outside.report import MeanScores, OutsideReport
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.table import NOTHING

_SEEN = {"seen": "seen in training", "unseen": "not seen in training"}


def side_by_side(inside: EvaluationReport, outside: OutsideReport) -> Table:
    """Mean retrieval and bits per byte of the model and its baselines.

    Args:
        inside: of what the run's own corpus holds out.
        outside: of other text.

    Returns:
        A column for the run's own corpus, then one for the languages of the other text that the run has
        learned from, and one for those that it has not.
    """
    table = Table("", title="Inside and outside", title_justify="left", box=None, header_style="bold")
    means = [one for one in outside.means if one.which in _SEEN]
    found = inside.retrieval
    languages = len(inside.mlm.bits_per_byte) if found is None else len(found.languages)
    table.add_column(f"{inside.split} split\n{counted(languages)}", justify="right")
    for mean in means:
        title = f"{outside.title}\n{counted(mean.languages)}\n{_SEEN[mean.which]}"
        table.add_column(title, justify="right", vertical="bottom")
    own = {"model": None, "bag": None, "untrained": None} if found is None else _own(inside)
    pivot = outside.pairs[0].pivot if outside.pairs else inside.retrieval and inside.retrieval.pivot
    if pivot:
        table.add_row(f"top-1, both ways with {named(pivot)}", style="bold")
    for name, label in (
        ("model", "model"),
        ("bag", "bag of subwords"),
        ("untrained", "untrained model"),
        ("trigrams", "character trigrams"),
    ):
        table.add_row(f"  {label}", _number(own.get(name)), *(_interval(mean, name) for mean in means))
    table.add_row("bits per byte", style="bold")
    bits = {
        "model": inside.mlm.mean_bits_per_byte,
        "unigram": inside.mlm.unigram_mean_bits_per_byte,
        "untrained": inside.mlm.untrained_mean_bits_per_byte,
    }
    for name, value in bits.items():
        label = "unigram model of each language" if name == "unigram" else name
        there = outside.bits.means.get(name) if outside.bits is not None else None
        cells = [_number(None if there is None or mean.which != "seen" else there.value) for mean in means]
        table.add_row(f"  {label}", _number(value), *cells)
    return table


def _own(inside: EvaluationReport) -> dict[str, float | None]:
    found = inside.retrieval
    assert found is not None
    return {"model": found.mean_top1, "bag": found.bag_mean_top1, "untrained": found.untrained_mean_top1}


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _interval(mean: MeanScores, name: str) -> str:
    score = mean.scores.get(name)
    if score is None or score.low is None:
        return _number(None if score is None else score.top1)
    return f"{score.top1:.3f} ({score.low:.3f} to {score.high:.3f})"
