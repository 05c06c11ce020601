"""A model inside and outside what it was trained on, side by side."""

from __future__ import annotations

from rich.table import Table

from xformer.data.languages import counted, language_name
from xformer.evaluation.outside.report import MeanScores, OutsideReport
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.table import NOTHING

_RETRIEVAL = {
    "model": "model",
    "bag": "bag of subwords",
    "untrained": "untrained model",
    "trigrams": "character trigrams",
}
_BITS = {
    "model": "model",
    "unigram": "unigram by language",
    "untrained": "untrained model",
}
_WHICH = {"seen": "seen in training", "unseen": "not seen in training"}


def side_by_side(inside: EvaluationReport, outside: OutsideReport) -> Table:
    """Mean retrieval, in both directions, and bits per byte of the model and its baselines.

    Intervals are of 95%, by bootstrap over languages.

    Args:
        inside: of what the run's own corpus holds out.
        outside: of other text.

    Returns:
        A column for the run's own corpus, then one for the languages of the other text that the run has
        learned from, and one for those that it has not.
    """
    means = [one for one in outside.means if one.which in _WHICH]
    found, own_bits = inside.retrieval, inside.mlm
    languages = own_bits.bits_per_byte if found is None else found.languages
    table = Table("", title="Inside and outside", title_justify="left", box=None, header_style="bold")
    table.add_column(f"{inside.split} split\n{counted(len(languages))}", justify="right", vertical="bottom")
    for mean in means:
        title = f"{outside.title}\n{counted(mean.languages)}\n{_WHICH[mean.which]}"
        table.add_column(title, justify="right", vertical="bottom")
    pivots = {one.pivot for one in outside.pairs} | ({found.pivot} if found is not None else set())
    if pivots:
        table.add_row(f"top-1 with {' or '.join(map(language_name, sorted(pivots)))}", style="bold")
        own_top1: dict[str, float | None] = {}
        if found is not None:
            own_top1 = {"model": found.mean_top1, "bag": found.bag_mean_top1}
            own_top1["untrained"] = found.untrained_mean_top1
        for name, label in _RETRIEVAL.items():
            table.add_row(f"  {label}", _number(own_top1.get(name)), *(_score(one, name) for one in means))
    table.add_row("bits per byte", style="bold")
    own = {
        "model": own_bits.mean_bits_per_byte,
        "unigram": own_bits.unigram_mean_bits_per_byte,
        "untrained": own_bits.untrained_mean_bits_per_byte,
    }
    for name, label in _BITS.items():
        there = None if outside.bits is None else outside.bits.means.get(name)
        cells = [_number(there.value if there and one.which == "seen" else None) for one in means]
        table.add_row(f"  {label}", _number(own[name]), *cells)
    return table


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _score(mean: MeanScores, name: str) -> str:
    score = mean.scores.get(name)
    if score is None or score.low is None:
        return _number(None if score is None else score.top1)
    return f"{score.top1:.3f} ({score.low:.3f}–{score.high:.3f})"
