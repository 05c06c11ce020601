"""The scores of a run that writes summaries, by direction, beside baselines."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, repeat
from typing import ClassVar

from rich.box import SIMPLE_HEAD
from rich.table import Table

from xformer.evaluation.report_file import Report
from xformer.evaluation.summarization.judge import LEAD, Side

RUN = "the run"
_HEAD = ("direction", "summary", "R-1", "R-2", "R-L", "above lead", "chrF", "above lead")
_EXPLAINED = "R: ROUGE. Above lead: R-L, and chrF, minus that of the first sentence, 95% intervals."


@dataclass(frozen=True)
class SummarizedDirection:
    """One direction.

    Attributes:
        texts: number of test texts.
        sides: scores by name: those of the run, and of baselines.
    """

    texts: int
    sides: dict[str, Side]


@dataclass(frozen=True)
class SummarizationReport(Report):
    """The scores of a run on its test texts.

    Attributes:
        run: name of its folder.
        base: name of the pretrained run; None where it began with random weights.
        step: of the checkpoint.
        beam: width of the search.
        minutes: of training.
        seen: test texts that stand in the training part as well.
        rouge: how ROUGE is computed; None where there is none.
        learned: the directions that the run has learned.
        directions: scores by direction, as `de-de`.
    """

    what: ClassVar[str] = "the scores of a run that writes summaries"
    command: ClassVar[str] = "xformer evaluate RUN"
    layout: ClassVar[int] = 1

    run: str
    base: str | None
    step: int
    beam: int
    minutes: float
    seen: int
    rouge: str | None
    learned: tuple[str, ...]
    directions: dict[str, SummarizedDirection]


def summarization_table(report: SummarizationReport) -> Table:
    """The scores for the terminal."""
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=f"{report.run}, step {report.step:,}, beam {report.beam}",
    )
    for place, name in enumerate(_HEAD):
        table.add_column(name, justify="left" if place < 2 else "right", no_wrap=True)
    table.caption, table.caption_justify = _EXPLAINED, "left"
    for row in _rows(report):
        table.add_row(*row)
    return table


def summarization_markdown(report: SummarizationReport) -> str:
    """The scores as a Markdown table, with what ROUGE is below."""
    rows = [_HEAD, ("---", "---", *["---:"] * (len(_HEAD) - 2)), *_rows(report)]
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    said = [] if report.rouge is None else ["", f"- `{report.rouge}`"]
    return "\n".join([*lines, "", _EXPLAINED, *said]) + "\n"


def _rows(report: SummarizationReport) -> list[tuple[str, ...]]:
    found = []
    for name, one in report.directions.items():
        said = (name, f"{one.texts:,} texts", "" if name in report.learned else "not learned")
        # There are more sides than things to say of a direction: at least the run and two baselines.
        for (side, scores), about in zip(one.sides.items(), chain(said, repeat("")), strict=False):
            rouge = [f"{100 * score:.1f}" for score in scores.rouge.values()] or ["–"] * 3
            above = "–" if scores.above_lead is None or side == LEAD else _interval(scores.above_lead, 100)
            chrf = (f"{scores.chrf:.1f}", "–" if side == LEAD else _interval(scores.chrf_above_lead, 1))
            found.append((about, side, *rouge, above, *chrf))
    return found


def _interval(above: tuple[float, float, float], factor: float) -> str:
    _, low, high = (factor * x for x in above)
    return f"{low:+.1f} to {high:+.1f}"
