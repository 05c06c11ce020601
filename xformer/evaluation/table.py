"""An evaluation as a table, for a terminal and in Markdown: one row per language, best retrieval first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xformer.data.languages import counted, named
from xformer.evaluation.bag import BagRecord
from xformer.evaluation.names import long_names, short_names, some
from xformer.evaluation.report import EvaluationReport, MaskedLMScores, RetrievalScores
from xformer.progress import duration

NOTHING = "–"

_SCORE = len("0.123")

_COLUMNS = (
    ("", ""),
    ("", "messages"),
    ("top-1", "model"),
    ("", "bag"),
    ("", "untrained"),
    ("bits/byte", "model"),
    ("", "unigram"),
    ("", "untrained"),
)
"""A heading over some columns, and the name of each."""

Cell = tuple[str, bool]
"""A text, and whether it is bold: the model's score, where it is better than both baselines."""

Scores = tuple[float | None, ...]
"""The model's score, then those of its baselines; None where one is missing."""


def terminal_table(report: EvaluationReport) -> RenderableType:
    """The table and its summary."""

    def cells(row: list[Cell]) -> list[Text]:
        return [Text(text, style="bold" if bold else "") for text, bold in row]

    table = Table(
        title=_title(report),
        box=None,
        header_style="bold",
        pad_edge=False,
        collapse_padding=True,
        show_footer=True,
    )
    for index, ((over, name), footer) in enumerate(zip(_COLUMNS, cells(_mean_row(report)), strict=True)):
        header = f"{over}\n{name}" if index > 1 else name
        # With names in 20 letters it has 80 columns. In a narrower terminal names are cut, not scores.
        table.add_column(
            header,
            footer,
            justify="right" if index else "left",
            vertical="bottom",
            no_wrap=True,
            overflow="ellipsis",
            min_width=max(_SCORE, len(over), len(name)) if index else None,
        )
    for row in _rows(report, short_names):
        table.add_row(*cells(row))
    return Group(table, Text(), *(Text(line) for line in summary(report)))


def markdown_table(report: EvaluationReport) -> str:
    """The summary, then the table."""
    headers = ["language", *(": ".join(filter(None, column)) for column in _COLUMNS[1:])]
    lines = [f"| {' | '.join(headers)} |", f"|---|{'---:|' * (len(headers) - 1)}"]
    for row in [_mean_row(report), *_rows(report, long_names)]:
        lines.append(f"| {' | '.join(f'**{text}**' if bold else text for text, bold in row)} |")
    found = "".join(f"- {line}\n" for line in summary(report))
    return f"{_title(report)}.\n\n{found}\n" + "\n".join(lines) + "\n"


def summary(report: EvaluationReport) -> list[str]:
    """The means of the model and its baselines, what was left out, and what would help."""
    lines = [] if report.retrieval is None else _of_retrieval(report.retrieval, report.bag)
    lines.append(_of_bits(report.mlm, report.retrieval))
    lines.append(below_unigram(report.mlm.below_unigram, report.mlm.not_below_unigram))
    lines += [f"{part[0].upper()}{part[1:]}: {why}." for part, why in report.left_out.items()]
    return lines + (report.advice.lines() if report.advice is not None else [])


def _of_retrieval(found: RetrievalScores, bag: BagRecord | None) -> list[str]:
    n_languages = len(found.languages)
    models = {"model": (found.mean_top1, found.mean_mrr)}
    if found.bag_mean_top1 is not None and found.bag_mean_mrr is not None:
        models["bag of subwords"] = (found.bag_mean_top1, found.bag_mean_mrr)
    models["untrained"] = (found.untrained_mean_top1, found.untrained_mean_mrr)
    lines = [
        f"Retrieval, mean top-1 over {counted(n_languages)}, both ways with {named(found.pivot)}: "
        + ", ".join(f"{name} {top1:.3f}" for name, (top1, _) in models.items())
        + ". Mean reciprocal rank: "
        + ", ".join(f"{mrr:.3f}" for _, mrr in models.values())
        + "."
    ]
    if bag is not None and found.bag_mean_top1 is not None:
        better = sum(one.top1 > (one.bag_top1 or 0.0) for one in found.languages.values())
        lines.append(
            f"Top-1 of the model minus that of the bag: {found.mean_top1 - found.bag_mean_top1:+.3f}; the"
            f" model is better in {better} of {counted(n_languages)}. The bag was trained for"
            f" {bag.steps:,} steps of {bag.pairs:,.0f} pairs in {duration(bag.seconds)}."
        )
    if found.dev_top1_by_layer:
        by_layer = ", ".join(f"{top1:.3f}" for top1 in found.dev_top1_by_layer)
        n_layers = len(found.dev_top1_by_layer) - 1
        lines.append(
            f"The model's vectors are taken after {found.layer} of {n_layers} blocks, where the dev split "
            f"retrieves best: {by_layer} after 0, 1, …"
        )
    if found.left_out:
        most_first = sorted(found.left_out.items(), key=lambda item: (-item[1], item[0]))
        names = some([f"{named(tag)}: {count}" for tag, count in most_first])
        least = max(found.left_out.values())
        more = f"; --min-messages {least} takes in more" if least else ""
        lines.append(f"Left out, with fewer than {found.min_messages} messages: {names}{more}.")
    return lines


def _of_bits(mlm: MaskedLMScores, found: RetrievalScores | None) -> str:
    n_languages = len(found.languages) + 1 if found is not None else len(mlm.bits_per_byte)
    return (
        f"Masked LM, mean bits per byte over {counted(n_languages)}: model "
        f"{mlm.mean_bits_per_byte:.3f}, one unigram model of all languages "
        f"{mlm.blind_unigram_mean_bits_per_byte:.3f}, a unigram model of each language "
        f"{mlm.unigram_mean_bits_per_byte:.3f}, untrained {mlm.untrained_mean_bits_per_byte:.3f}. "
        f"All bits divided by all bytes: {mlm.overall_bits_per_byte:.3f}, "
        f"{mlm.blind_unigram_overall_bits_per_byte:.3f}, {mlm.unigram_overall_bits_per_byte:.3f}, "
        f"{mlm.untrained_overall_bits_per_byte:.3f}."
    )


def below_unigram(below: Sequence[str], others: Sequence[str]) -> str:
    """In how many languages the model needs fewer bits than a unigram model of each, and in which not."""
    in_all = len(below) + len(others)
    share = f"{len(below)} of {counted(in_all)}" + (f" ({len(below) / in_all:.0%})" if in_all else "")
    which = f"; not in {some(sorted(others))}" if others else ""
    return f"Bits per byte below a unigram model that is told the language: in {share}{which}."


def _title(report: EvaluationReport) -> str:
    return f"{report.messages:,} messages of the {report.split} split, model at step {report.step:,}"


def _rows(report: EvaluationReport, names: Callable[[Iterable[str]], dict[str, str]]) -> list[list[Cell]]:
    """The languages of retrieval, best first, then the pivot; without retrieval, all by bits per byte."""
    found, mlm = report.retrieval, report.mlm
    scores: dict[str, tuple[int | None, Scores | None]] = {}
    if found is None:
        scores = dict.fromkeys(sorted(mlm.bits_per_byte, key=mlm.bits_per_byte.__getitem__), (None, None))
    else:
        best_first = sorted(found.languages.items(), key=lambda item: (-item[1].top1, item[0]))
        for tag, one in best_first:
            scores[tag] = one.messages, (one.top1, one.bag_top1, one.untrained_top1)
        scores[found.pivot] = None, None
    tables = (mlm.bits_per_byte, mlm.unigram_bits_per_byte, mlm.untrained_bits_per_byte)
    shown = names(scores)
    rows = []
    for tag, (messages, top1) in scores.items():
        bits = tuple(table[tag] for table in tables) if tag in mlm.bits_per_byte else None
        rows.append(_row(shown[tag], messages, top1, bits))
    return rows


def _mean_row(report: EvaluationReport) -> list[Cell]:
    found, mlm = report.retrieval, report.mlm
    top1 = None if found is None else (found.mean_top1, found.bag_mean_top1, found.untrained_mean_top1)
    bits = (mlm.mean_bits_per_byte, mlm.unigram_mean_bits_per_byte, mlm.untrained_mean_bits_per_byte)
    return _row(f"mean of {len(mlm.bits_per_byte if found is None else found.languages)}", None, top1, bits)


def _row(name: str, messages: int | None, top1: Scores | None, bits: Scores | None) -> list[Cell]:
    """The cells of a row.

    Args:
        name: of the language.
        messages: queries in retrieval; None where there are none.
        top1: of the model, the bag and the untrained model.
        bits: per byte, of the model, the unigram model and the untrained model.
    """
    row = [(name, False), (NOTHING if messages is None else f"{messages:,}", False)]
    for scores, sign in ((top1, 1), (bits, -1)):
        if scores is None:
            row += [(NOTHING, False)] * 3
            continue
        model = scores[0] or 0.0
        best = all(sign * model > sign * other for other in scores[1:] if other is not None)
        texts = [NOTHING if score is None else f"{score:.3f}" for score in scores]
        row += [(text, best and index == 0) for index, text in enumerate(texts)]
    return row
