"""An evaluation as a table, in a terminal and in Markdown: one row a language, best retrieval first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xformer.evaluation.report import EvaluationReport
from xformer.progress import duration

NOTHING = "–"


@dataclass(frozen=True)
class Row:
    """One line of the table; None where there is nothing to say.

    Attributes:
        language: its tag.
        messages: queries of retrieval.
        top1: of the model, the bag and the untrained model.
        bits: per byte, of the model, the unigram model and the untrained model.
    """

    language: str
    messages: int | None
    top1: tuple[float, float, float] | None
    bits: tuple[float, float, float] | None


def rows(report: EvaluationReport) -> list[Row]:
    """The languages that retrieval has, best first, then the pivot."""
    found, mlm = report.retrieval, report.mlm

    def bits(tag: str) -> tuple[float, float, float] | None:
        if tag not in mlm.bits_per_byte:
            return None
        return mlm.bits_per_byte[tag], mlm.unigram_bits_per_byte[tag], mlm.untrained_bits_per_byte[tag]

    best_first = sorted(found.languages.items(), key=lambda item: (-item[1].top1, item[0]))
    languages = [
        Row(tag, one.messages, (one.top1, one.bag_top1, one.untrained_top1), bits(tag))
        for tag, one in best_first
    ]
    return [*languages, Row(found.pivot, None, None, bits(found.pivot))]


def mean_row(report: EvaluationReport) -> Row:
    """The means over languages."""
    found, mlm = report.retrieval, report.mlm
    return Row(
        f"mean of {len(found.languages)}",
        None,
        (found.mean_top1, found.bag_mean_top1, found.untrained_mean_top1),
        (mlm.mean_bits_per_byte, mlm.unigram_mean_bits_per_byte, mlm.untrained_mean_bits_per_byte),
    )


def terminal_table(report: EvaluationReport) -> RenderableType:
    """The table and its summary; what beats its baseline is bold."""
    table = Table(title=_title(report), box=None, header_style="bold", pad_edge=False, show_footer=True)
    mean = mean_row(report)
    headers = (
        "",
        "messages",
        "top-1\nmodel",
        "\nbag",
        "\nuntrained",
        "bits/byte\nmodel",
        "\nunigram",
        "\nuntrained",
    )
    for index, (header, footer) in enumerate(zip(headers, _terminal_cells(mean), strict=True)):
        table.add_column(header, footer, justify="right" if index else "left", vertical="bottom")
    for row in rows(report):
        table.add_row(*_terminal_cells(row))
    return Group(table, Text(), *(Text(line) for line in summary(report)))


def markdown_table(report: EvaluationReport) -> str:
    """Summary, then the table, as Markdown."""
    lines = [
        "| language | messages | top-1: model | bag | untrained | bits/byte: model | unigram | untrained |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in [mean_row(report), *rows(report)]:
        cells = [f"**{cell}**" if strong else cell for cell, strong in _cells(row)]
        lines.append(f"| {' | '.join(cells)} |")
    return (
        f"{_title(report)}.\n\n"
        + "".join(f"- {line}\n" for line in summary(report))
        + "\n"
        + "\n".join(lines)
        + "\n"
    )


def summary(report: EvaluationReport) -> list[str]:
    """What there is to know, in a few sentences."""
    found, mlm, bag = report.retrieval, report.mlm, report.bag
    better = sum(one.top1 > one.bag_top1 for one in found.languages.values())
    n_languages = len(found.languages)
    lines = [
        f"Retrieval, mean top-1 over {n_languages} languages, both ways with {found.pivot}: model "
        f"{found.mean_top1:.3f}, bag of subwords {found.bag_mean_top1:.3f}, untrained "
        f"{found.untrained_mean_top1:.3f}. Mean reciprocal rank: {found.mean_mrr:.3f}, "
        f"{found.bag_mean_mrr:.3f}, {found.untrained_mean_mrr:.3f}.",
        f"{_verdict(found.mean_top1 > found.bag_mean_top1)} the bag by "
        f"{abs(found.mean_top1 - found.bag_mean_top1):.3f}; ahead of it in {better} of {n_languages} "
        f"languages. The bag had {bag.steps:,} steps of {bag.pairs:,.0f} pairs in {duration(bag.seconds)}.",
        f"Masked LM, mean bits per byte over {n_languages + 1} languages: model "
        f"{mlm.mean_bits_per_byte:.3f}, unigram model of all languages "
        f"{mlm.blind_unigram_mean_bits_per_byte:.3f}, unigram model of each language, told which it is, "
        f"{mlm.unigram_mean_bits_per_byte:.3f}, untrained {mlm.untrained_mean_bits_per_byte:.3f}. "
        f"All bits over all bytes: {mlm.overall_bits_per_byte:.3f}, "
        f"{mlm.blind_unigram_overall_bits_per_byte:.3f}, {mlm.unigram_overall_bits_per_byte:.3f}, "
        f"{mlm.untrained_overall_bits_per_byte:.3f}.",
    ]
    if found.dev_top1_by_layer:
        by_layer = ", ".join(f"{top1:.3f}" for top1 in found.dev_top1_by_layer)
        n_layers = len(found.dev_top1_by_layer) - 1
        lines.append(
            f"The model's vectors are taken after {found.layer} of {n_layers} blocks, where the dev split "
            f"retrieves best: {by_layer} after 0, 1, …"
        )
    if found.left_out:
        names = ", ".join(f"{tag} ({count})" for tag, count in sorted(found.left_out.items()))
        lines.append(f"Left out, with fewer than {found.min_messages} messages: {names}.")
    return lines


def _verdict(better: bool) -> str:
    return "Above" if better else "Below"


def _title(report: EvaluationReport) -> str:
    return f"{report.messages:,} messages of the {report.split} split, model at step {report.step:,}"


def _terminal_cells(row: Row) -> list[Text]:
    return [Text(cell, style="bold" if strong else "") for cell, strong in _cells(row)]


def _cells(row: Row) -> list[tuple[str, bool]]:
    """Each cell's text, and whether to stress it: the model's where it is better than both baselines."""
    top1 = _numbers(row.top1, row.top1 is not None and row.top1[0] > max(row.top1[1:]))
    bits = _numbers(row.bits, row.bits is not None and row.bits[0] < min(row.bits[1:]))
    messages = NOTHING if row.messages is None else f"{row.messages:,}"
    return [(row.language, False), (messages, False), *top1, *bits]


def _numbers(values: Sequence[float] | None, stress: bool) -> list[tuple[str, bool]]:
    if values is None:
        return [(NOTHING, False)] * 3
    return [(f"{value:.3f}", stress and index == 0) for index, value in enumerate(values)]
