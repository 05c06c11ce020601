"""Scores on the text that a run held out, beside those on text from outside: one table of a run's page."""

from __future__ import annotations

from collections.abc import Sequence

from xformer.data.languages import counted, named
from xformer.evaluation.outside.picture import outside_charts
from xformer.evaluation.outside.report import MeanScores, OutsideReport, Score
from xformer.evaluation.report import EvaluationReport
from xformer.plotting.charts import Figure
from xformer.plotting.page import Cell, Column, Section, pictures, table
from xformer.plotting.svg import figure_html

_NOTHING = "–"
_HEADS = ("text", "languages", "top-1", "95%", "bag", "untrained", "trigrams", "bits/byte", "below unigram")


_TEXT = (
    "What `xformer evaluate --on` found on text that does not come from the run's corpus, beside the text"
    " that the corpus held out. Top-1 is the mean of both directions and of languages, at the layer that the"
    " run's dev split chose; intervals are bootstrap intervals of 95% over languages. Trigrams: cosines of"
    " TF-IDF vectors of character trigrams. Below unigram: in how many languages seen in training the model"
    " needs fewer bits per byte than a unigram model that is told the language."
)


def outside_section(inside: EvaluationReport | None, outside: Sequence[OutsideReport]) -> Section:
    """The table and the charts; without content where there is no outside text."""
    figures = [figure_html(Figure([chart])) for one in outside for chart in outside_charts(one)]
    content = inside_outside_table(inside, outside) + pictures(figures)
    return Section("outside", "On other text", content, _TEXT)


def inside_outside_table(inside: EvaluationReport | None, outside: Sequence[OutsideReport]) -> str:
    """A row for the run's own held-out text, and one for each set of outside text; empty without these."""
    if not outside:
        return ""
    rows = [] if inside is None else [_inside(inside)]
    rows += [row for one in outside for row in _outside(one)]
    columns = [Column(name, number=index > 1) for index, name in enumerate(_HEADS)]
    cells = [[Cell(text) for text in row] for row in rows]
    return table(columns, cells, caption="Inside and outside: retrieval, top-1, and bits per byte")


def _inside(report: EvaluationReport) -> list[str]:
    found, mlm = report.retrieval, report.mlm
    below = f"{len(mlm.below_unigram)} of {counted(len(mlm.bits_per_byte))}"
    end = [f"{mlm.mean_bits_per_byte:.3f}", below]
    if found is None:
        return [f"inside: {report.split}", _NOTHING, *[_NOTHING] * 5, *end]
    bag = _NOTHING if found.bag_mean_top1 is None else f"{found.bag_mean_top1:.3f}"
    scores = [f"{found.mean_top1:.3f}", _NOTHING, bag, f"{found.untrained_mean_top1:.3f}", _NOTHING]
    name = f"inside: {report.split}, with {named(found.pivot)}"
    return [name, counted(len(found.languages)), *scores, *end]


def _outside(report: OutsideReport) -> list[list[str]]:
    bits = report.bits
    end = [_NOTHING, _NOTHING]
    if bits is not None and bits.means:
        known = len(bits.below_unigram) + len(bits.not_below_unigram)
        end = [f"{bits.means['model'].value:.3f}", f"{len(bits.below_unigram)} of {counted(known)}"]
    if not report.means:
        return [[f"outside: {report.title}", _NOTHING, *[_NOTHING] * 5, *end]]
    whole = {(one.set, one.pivot): one.languages for one in report.means if one.which == "all"}
    rows = []
    for one in report.means:
        if one.which == "all" or one.languages < whole[one.set, one.pivot]:
            rows.append(_of_mean(report, one, end if one.which == "all" else [_NOTHING, _NOTHING]))
    return rows


def _of_mean(report: OutsideReport, one: MeanScores, end: list[str]) -> list[str]:
    shown = report.name if one.set == report.name else f"{report.name}, {one.set}"
    which = {"all": "", "seen": " seen in training", "unseen": " not seen"}[one.which]
    scores = [_top1(one.scores.get(name)) for name in ("bag", "untrained", "trigrams")]
    model = one.scores["model"]
    interval = _NOTHING if model.low is None or model.high is None else f"{model.low:.3f}…{model.high:.3f}"
    name = f"outside: {shown}, with {named(one.pivot)}"
    return [name, f"{counted(one.languages)}{which}", _top1(model), interval, *scores, *end]


def _top1(score: Score | None) -> str:
    return _NOTHING if score is None else f"{score.top1:.3f}"
