"""An evaluation on outside text as a table, for a terminal and in Markdown, with its summary in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xformer.data.languages import counted, named
from xformer.evaluation.names import label
from xformer.evaluation.outside.report import (
    Amount,
    MeanScores,
    OutsideBits,
    OutsideReport,
    Overlap,
    PairScores,
    Score,
)

NOTHING = "–"
_NAMES = {"model": "model", "bag": "bag", "untrained": "untrained", "trigrams": "trigrams"}
_WHICH = {"all": "all", "seen": "seen in training", "unseen": "not seen in training"}


def outside_table(report: OutsideReport) -> RenderableType:
    """The table and its summary."""
    headers, rows = _cells(report)
    table = Table(title=_title(report), box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for index, header in enumerate(headers):
        table.add_column(header, justify="right" if index > 1 else "left", vertical="bottom")
    for row, bold in rows:
        table.add_row(*row, style="bold" if bold else "")
    return Group(table, Text(), *(Text(line) for line in outside_summary(report)))


def outside_markdown(report: OutsideReport) -> str:
    """The summary, then the table."""
    headers, rows = _cells(report)
    lines = [f"| {' | '.join(headers)} |".replace("\n", " "), f"|---|---|{'---:|' * (len(headers) - 2)}"]
    lines += [f"| {' | '.join(f'**{cell}**' if bold else cell for cell in row)} |" for row, bold in rows]
    found = "".join(f"- {line}\n" for line in outside_summary(report))
    return f"{_title(report)}.\n\n{found}\n" + "\n".join(lines) + "\n"


def outside_summary(report: OutsideReport) -> list[str]:
    """Means with their intervals, layers, bits per byte, overlap with the training text, and notes."""
    lines = [line for one in report.means for line in _of_mean(one, report.layer)]
    if report.pairs:
        lines.append(
            "Intervals are of 95%, by bootstrap: of a language over its sentences, of a mean over its"
            " languages."
        )
    if report.bits is not None:
        lines += _of_bits(report.bits)
    lines.append(_of_overlap(report.overlap, report.texts))
    return lines + [f"{note[0].upper()}{note[1:]}." for note in report.notes]


def below_unigram(below: Sequence[str], others: Sequence[str]) -> str:
    """In how many languages the model needs fewer bits than a unigram model of each, and in which not."""
    in_all = len(below) + len(others)
    share = f"{len(below)} of {counted(in_all)}" + (f" ({len(below) / in_all:.0%})" if in_all else "")
    which = f"; not in {', '.join(sorted(others))}" if others else ""
    return f"Bits per byte below a unigram model that is told the language: in {share}{which}."


def _of_mean(one: MeanScores, layer: int) -> list[str]:
    scores = ", ".join(f"{_NAMES[name]} {_score(score)}" for name, score in one.scores.items())
    lines = [
        f"{one.set}, {counted(one.languages)} {_WHICH[one.which]}, both ways with {named(one.pivot)}, mean"
        f" top-1: {scores}."
    ]
    if one.over_bag is not None:
        lines[0] += f" Model minus bag: {_amount(one.over_bag, sign=True)}."
    if one.which == "all" or not any(True for _ in one.by_layer):
        by_layer = ", ".join(
            f"{'*' if number == layer else ''}{each.value:.3f}" for number, each in enumerate(one.by_layer)
        )
        lines.append(
            f"{one.set}, by layer, after 0, 1, … blocks (*: chosen on the run's dev split): {by_layer}."
        )
    return lines


def _of_bits(bits: OutsideBits) -> list[str]:
    if not bits.means:
        return []
    means = ", ".join(f"{name.replace('_', ' ')} {_amount(one)}" for name, one in bits.means.items())
    known = counted(len(bits.below_unigram) + len(bits.not_below_unigram))
    return [
        f"Masked LM, mean bits per byte over {known} seen in training: {means}.",
        below_unigram(bits.below_unigram, bits.not_below_unigram),
    ]


def _of_overlap(overlap: Overlap | None, texts: int) -> str:
    if overlap is None:
        return "Not compared with the training corpus."
    share = (overlap.exact + overlap.near) / max(1, overlap.texts)
    return (
        f"Of {overlap.texts:,} different texts, {overlap.exact:,} stand in the training corpus and"
        f" {overlap.near:,} more have a near duplicate there ({share:.1%})."
    )


def _title(report: OutsideReport) -> str:
    return f"{report.title}: {report.texts:,} texts from outside, model at step {report.step:,}"


def _cells(report: OutsideReport) -> tuple[list[str], list[tuple[list[str], bool]]]:
    """Headers, and rows with whether they are bold."""
    baselines = [
        name for name in _NAMES if any(name in one.scores for one in report.pairs) and name != "model"
    ]
    headers = ["language", "pivot", "texts", "top-1", "interval", *(_NAMES[name] for name in baselines)]
    headers += ["bits/byte", "unigram"]
    bits = {} if report.bits is None else report.bits.languages
    many = len({one.set for one in report.pairs}) > 1

    def row(one: PairScores) -> list[str]:
        seen = "" if one.seen else " (not seen)"
        where = f"{one.set} " if many else ""
        scores = [f"{one.scores[name].top1:.3f}" for name in baselines]
        found = bits.get(one.language)
        both = [] if found is None else [found.bits.get("model"), found.bits.get("unigram")]
        both_cells = [NOTHING if value is None else f"{value:.3f}" for value in (both or [None, None])]
        model = one.scores["model"]
        return [
            f"{where}{label(one.language)}{seen}",
            one.pivot,
            f"{one.messages:,}",
            f"{model.top1:.3f}",
            _interval(model),
            *scores,
            *both_cells,
        ]

    rows = [
        (
            [
                f"mean: {one.set} {_WHICH[one.which]}",
                one.pivot,
                counted(one.languages),
                f"{one.scores['model'].top1:.3f}",
                _interval(one.scores["model"]),
                *(f"{one.scores[name].top1:.3f}" for name in baselines),
                NOTHING,
                NOTHING,
            ],
            True,
        )
        for one in report.means
    ]
    ordered = sorted(
        report.pairs, key=lambda one: (one.set, one.pivot, not one.seen, -one.scores["model"].top1)
    )
    rows += [(row(one), False) for one in ordered]
    compared = {one.language for one in report.pairs}
    for tag, found in bits.items():
        if tag not in compared:
            unigram = found.bits.get("unigram")
            cells = [label(tag), *[NOTHING] * (3 + 1 + len(baselines)), f"{found.bits['model']:.3f}"]
            rows.append(([*cells, NOTHING if unigram is None else f"{unigram:.3f}"], False))
    return headers, rows


def _interval(one: Score | Amount) -> str:
    return NOTHING if one.low is None or one.high is None else f"{one.low:.3f}…{one.high:.3f}"


def _score(one: Score) -> str:
    return f"{one.top1:.3f}" + ("" if one.low is None else f" ({_interval(one)})")


def _amount(one: Amount, sign: bool = False) -> str:
    value = f"{one.value:+.3f}" if sign else f"{one.value:.3f}"
    return value if one.low is None else f"{value} ({_interval(one)})"
