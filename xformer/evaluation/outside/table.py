"""An evaluation on outside text as tables, for a terminal, in Markdown and for a page, and in sentences.

There is a table for each set and pivot: a row for each mean, then one for each language, those seen in
training first, best retrieval first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xformer.data.languages import counted, named
from xformer.evaluation.names import short_names
from xformer.evaluation.outside.report import (
    Amount,
    MeanScores,
    OutsideBits,
    OutsideReport,
    Overlap,
    PairScores,
    Score,
)
from xformer.evaluation.table import NOTHING, below_unigram

_BASELINES = ("bag", "untrained", "trigrams")
_WHICH = {"all": "", "seen": " seen in training", "unseen": " not seen in training"}
_NARROW = {"untrained": "un-\ntrained", "trigrams": "tri-\ngrams", "bits/byte": "bits/\nbyte"}
_NARROW["unigram"] = "uni-\ngram"
_NOT_SEEN = "○ "
"""In front of languages that were not seen in training."""


@dataclass(frozen=True)
class OutsideTable:
    """The table of a set and a pivot.

    Attributes:
        title: what it is of.
        headers: names of the columns; the first is the language's.
        rows: cells.
        means: how many of the rows are means; they come first.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    means: int


def outside_tables(report: OutsideReport) -> list[OutsideTable]:
    """A table for each set and pivot; one of bits per byte where nothing is compared."""
    baselines = [name for name in _BASELINES if any(name in one.scores for one in report.pairs)]
    bits = ("bits/byte", "unigram") if report.bits is not None else ()
    if not report.pairs:
        found = {} if report.bits is None else report.bits.languages
        names = _names(report, list(found))
        alone = tuple((names[tag], *_bits_of(report, tag)) for tag in sorted(found))
        return [OutsideTable(report.title, ("language", *bits), alone, 0)] if alone else []
    headers = ("language", "texts", "top-1", "95%", *baselines, *bits)
    tables = []
    for name, pivot in dict.fromkeys((one.set, one.pivot) for one in report.pairs):
        means = [
            one for one in report.means if (one.set, one.pivot) == (name, pivot) and not _said(one, report)
        ]
        pairs = [one for one in report.pairs if (one.set, one.pivot) == (name, pivot)]
        pairs.sort(key=lambda one: (not one.seen, -one.scores["model"].top1, one.language))
        names = _names(report, [*(one.language for one in pairs), pivot])
        rows: list[tuple[str, ...]] = [
            (
                f"mean of {one.languages}{_WHICH[one.which].removesuffix(' in training')}",
                "",
                *_scores(one, baselines),
                *[NOTHING for _ in bits],
            )
            for one in means
        ]
        rows += [
            (
                names[one.language],
                f"{one.messages:,}",
                *_scores(one, baselines),
                *_bits_of(report, one.language),
            )
            for one in pairs
        ]
        nothing = [NOTHING] * (3 + len(baselines))
        rows.append((names[pivot], *nothing, *_bits_of(report, pivot)))
        tables.append(OutsideTable(f"{name}, with {named(pivot)}", headers, tuple(rows), len(means)))
    return tables


def outside_table(report: OutsideReport) -> RenderableType:
    """The tables and the summary, for a terminal of 80 columns or more."""
    found: list[RenderableType] = [Text(_title(report), style="bold"), Text()]
    for one in outside_tables(report):
        table = Table(title=one.title, box=None, header_style="bold", pad_edge=False, collapse_padding=True)
        for index, header in enumerate(_NARROW.get(name, name) for name in one.headers):
            widest = max(len(row[index]) for row in one.rows)
            table.add_column(
                header,
                justify="right" if index else "left",
                no_wrap=True,
                overflow="ellipsis",
                vertical="bottom",
                min_width=max(widest, *map(len, header.split("\n"))) if index else None,
            )
        for index, row in enumerate(one.rows):
            table.add_row(*row, style="bold" if index < one.means else "")
        found += [table, Text()]
    return Group(*found, *(Text(line) for line in outside_summary(report)))


def outside_markdown(report: OutsideReport) -> str:
    """The summary, then the tables."""
    lines = [f"{_title(report)}.\n", *(f"- {line}" for line in outside_summary(report))]
    for one in outside_tables(report):
        lines += [f"\n{one.title}:\n", f"| {' | '.join(one.headers)} |"]
        lines.append(f"|---|{'---:|' * (len(one.headers) - 1)}")
        for index, row in enumerate(one.rows):
            cells = [f"**{cell}**" if cell and index < one.means else cell for cell in row]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def outside_summary(report: OutsideReport) -> list[str]:
    """Means with their intervals, layers, bits per byte, overlap with the training text, and notes."""
    lines = [line for one in report.means if not _said(one, report) for line in _of_mean(one, report.layer)]
    if report.pairs:
        lines.append(
            "Intervals are of 95%, by bootstrap: of a language over its sentences, of a mean over its"
            " languages."
        )
    if any(not one.seen for one in report.pairs):
        lines.append(f"{_NOT_SEEN.strip()}: not seen in training.")
    if report.bits is not None:
        lines += _of_bits(report.bits)
    if report.overlap is not None:
        lines.append(_of_overlap(report.overlap))
    return lines + [f"{note[0].upper()}{note[1:]}." for note in report.notes]


def _said(one: MeanScores, report: OutsideReport) -> bool:
    """Whether a mean over part of the languages is the same as that over all."""
    whole = [
        each for each in report.means if (each.set, each.pivot, each.which) == (one.set, one.pivot, "all")
    ]
    return one.which == "seen" and whole[0].languages == one.languages


def _names(report: OutsideReport, tags: Sequence[str]) -> dict[str, str]:
    """Tag and name of each language, marked where it was not seen in training."""
    unseen = {one.language for one in report.pairs if not one.seen}
    if report.bits is not None:
        unseen |= {tag for tag, one in report.bits.languages.items() if not one.seen}
    return {tag: f"{_NOT_SEEN if tag in unseen else ''}{name}" for tag, name in short_names(tags).items()}


def _scores(one: PairScores | MeanScores, baselines: Sequence[str]) -> tuple[str, ...]:
    model = one.scores["model"]
    return (f"{model.top1:.3f}", _interval(model), *(f"{one.scores[name].top1:.3f}" for name in baselines))


def _bits_of(report: OutsideReport, tag: str) -> tuple[str, ...]:
    if report.bits is None:
        return ()
    found = report.bits.languages.get(tag)
    values = [None if found is None else found.bits.get(name) for name in ("model", "unigram")]
    return tuple(NOTHING if value is None else f"{value:.3f}" for value in values)


def _of_mean(one: MeanScores, layer: int) -> list[str]:
    scores = ", ".join(f"{name} {_score(score)}" for name, score in one.scores.items())
    lines = [
        f"{one.set}, {counted(one.languages)}{_WHICH[one.which]}, both ways with {named(one.pivot)}, mean"
        f" top-1: {scores}."
    ]
    if one.over_bag is not None:
        lines[0] += f" Model minus bag: {_amount(one.over_bag, sign=True)}."
    if one.which == "all":
        by_layer = ", ".join(
            f"{each.value:.3f}{'*' if number == layer else ''}" for number, each in enumerate(one.by_layer)
        )
        lines.append(
            f"{one.set}, model after 0, 1, … blocks: {by_layer} (*: the run's layer, which its dev split"
            " chose)."
        )
    return lines


def _of_bits(bits: OutsideBits) -> list[str]:
    if not bits.means:
        return []
    means = ", ".join(f"{name.replace('_', ' ')} {_amount(one)}" for name, one in bits.means.items())
    known = counted(len(bits.below_unigram) + len(bits.not_below_unigram))
    return [
        f"Masked LM, mean bits per byte over {known} seen in training, of {bits.texts:,} texts,"
        f" at most {bits.most_texts:,} of a language: {means}.",
        below_unigram(bits.below_unigram, bits.not_below_unigram),
    ]


def _of_overlap(overlap: Overlap) -> str:
    share = (overlap.exact + overlap.near) / max(1, overlap.texts)
    found = sorted(overlap.by_language.items(), key=lambda item: (-item[1], item[0]))[:8]
    where = f": {', '.join(f'{tag} {count:,}' for tag, count in found)}" if found else ""
    return (
        f"Of {overlap.texts:,} different texts, {overlap.exact:,} stand in the training corpus, and"
        f" {overlap.near:,} more have a near duplicate there ({share:.1%}{where})."
    )


def _title(report: OutsideReport) -> str:
    return f"{report.title}: {report.texts:,} texts from outside, model at step {report.step:,}"


def _interval(one: Score | Amount) -> str:
    return NOTHING if one.low is None or one.high is None else f"{one.low:.2f}…{one.high:.2f}"


def _score(one: Score) -> str:
    return f"{one.top1:.3f}" + ("" if one.low is None else f" ({one.low:.3f}…{one.high:.3f})")


def _amount(one: Amount, sign: bool = False) -> str:
    shape = "+.3f" if sign else ".3f"
    interval = "" if one.low is None or one.high is None else f" ({one.low:{shape}}…{one.high:{shape}})"
    return f"{one.value:{shape}}{interval}"
