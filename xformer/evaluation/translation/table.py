"""Reports of translation as tables, for the terminal and as Markdown."""

from __future__ import annotations

from rich.table import Table

from xformer.evaluation.translation.report import TranslationComparison, TranslationReport
from xformer.evaluation.translation.scores import Score

_HEAD = ("direction", "texts", "BLEU", "95%", "chrF++", "95%", "copy BLEU", "copy chrF++")


def translation_table(report: TranslationReport) -> Table:
    """The scores for the terminal."""
    table = Table(*_HEAD, title=f"{report.run}, step {report.step:,}, beam {report.beam}")
    for row in _rows(report):
        table.add_row(*row)
    return table


def translation_markdown(report: TranslationReport) -> str:
    """The scores as a Markdown table, with the signatures below."""
    lines = [_line(_HEAD), "|---|" + "---:|" * (len(_HEAD) - 1), *map(_line, _rows(report)), ""]
    seen = dict.fromkeys(
        score.signature for one in report.directions.values() for score in (one.model.bleu, one.model.chrf)
    )
    lines += [f"- `{signature}`" for signature in seen]
    return "\n".join(lines) + "\n"


def comparison_table(report: TranslationComparison) -> Table:
    """Two runs side by side."""
    table = Table("direction", "metric", report.run, report.against, "difference", "p")
    for name, metrics in report.directions.items():
        for metric, found in metrics.items():
            table.add_row(
                name,
                {"bleu": "BLEU", "chrf": "chrF++"}[metric],
                f"{found.ours:.2f}",
                f"{found.theirs:.2f}",
                f"{found.ours - found.theirs:+.2f}",
                f"{found.p_value:.4f}",
            )
    return table


def _rows(report: TranslationReport) -> list[tuple[str, ...]]:
    return [
        (
            name,
            f"{one.texts:,}",
            f"{one.model.bleu.value:.2f}",
            _interval(one.model.bleu),
            f"{one.model.chrf.value:.2f}",
            _interval(one.model.chrf),
            f"{one.copy.bleu.value:.2f}",
            f"{one.copy.chrf.value:.2f}",
        )
        for name, one in report.directions.items()
    ]


def _interval(score: Score) -> str:
    return f"{score.low:.1f} to {score.high:.1f}"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
