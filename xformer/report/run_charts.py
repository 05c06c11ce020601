"""The pictures of a run's page, a list for each section; what has nothing to draw gives an empty text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.shares import Kind, Shares
from xformer.evaluation.space import Space
from xformer.plotting.charts import Across, Line, dot_chart, line_chart
from xformer.report.examples import Example
from xformer.runs.config import RunConfig
from xformer.runs.metrics import without_remnant

Metrics = Sequence[Mapping[str, Any]]

_OBJECTIVES = {
    "masked_lm": "Masked LM, nats a hidden token",
    "translation_lm": "Translation LM, nats a hidden token",
    "alignment": "Alignment, nats a text",
    "bag_alignment": "Alignment without blocks, nats a text",
    "distillation": "Vectors after the blocks from those before, 1 − cosine",
}


@dataclass(frozen=True)
class Clock:
    """The time axis that all pictures of a run share.

    Attributes:
        end: minutes of training so far.
        joined: minutes after which the blocks joined; None if they were there from the start, or are not yet.
    """

    end: float
    joined: float | None

    @classmethod
    def of(cls, metrics: Metrics) -> Clock:
        """That of a run's log."""
        end = max((line["elapsed"] for line in metrics), default=0.0)
        began = bool(metrics) and metrics[0]["stage"] != "full"
        joined = next((line["elapsed"] for line in metrics if line["stage"] == "full"), None)
        return cls(end / 60, joined / 60 if began and joined is not None else None)

    def across(self) -> Across:
        """The axis."""
        marks = () if self.joined is None else ((self.joined, "the blocks join"),)
        name = (
            "minutes of training" if self.joined is None else "minutes of training; dotted: the blocks join"
        )
        return Across(name, (0.0, self.end) if self.end else None, marks=marks)


def training_charts(metrics: Metrics, config: RunConfig) -> list[str]:
    """Losses, learning rates, throughput, gradient norm."""
    across, means = Clock.of(metrics).across(), without_remnant(metrics)
    charts = [
        line_chart(title, across, [_over_time(means, "last", "loss", name)])
        for name, title in _OBJECTIVES.items()
    ]
    lines = [
        _over_time(metrics, group, "lr_factor", group, times=rate)
        for group, rate in config.optimizer.rates.items()
        if group != "bigrams" or config.model.bigrams
    ]
    charts.append(line_chart("Learning rates", across, lines, log=True))
    speed = _over_time(means, "last", "tokens_per_s")
    charts.append(line_chart("Tokens per second", across, [speed], log=True))
    norm = _over_time(metrics, "last", "gradient_norm")
    charts.append(line_chart("Gradient norm before clipping", across, [norm], log=True))
    return charts


def panel_charts(panel: Metrics, metrics: Metrics) -> list[str]:
    """What the panel saw over time, and each language's first and last look."""
    across = Clock.of([*metrics, *({"stage": None, **line} for line in panel)]).across()
    wanted = {
        "mean_top1": "Retrieval, mean top-1",
        "mean_bits_per_byte": "Bits per byte, mean",
        "centroid_gap": "Centroid gap",
        "anisotropy": "Anisotropy",
        "hubness": "Hubness, mean",
    }
    charts = [line_chart(title, across, [_over_time(panel, "last", name)]) for name, title in wanted.items()]
    depth = max((len(line.get("alignment_by_layer", ())) for line in panel), default=0)
    # Four at most, from the embedding to the last block, so that they can be told apart.
    layers = sorted({round(part * (depth - 1) / 3) for part in range(4)}) if depth else []
    lines = [_over_time(panel, f"layer {n}", "alignment_by_layer", n) for n in layers]
    charts.append(line_chart("Alignment by layer", across, lines))
    for name, title, best in (
        ("top1", "Retrieval by language, top-1", "high"),
        ("bits_per_byte", "Bits per byte by language", "low"),
    ):
        looks = [line[name] for line in panel if line.get(name)]
        if len(looks) > 1:
            first_and_last = {"last look": looks[-1], "first look": looks[0]}
            charts.append(dot_chart(title, first_and_last, best="low" if best == "low" else "high"))
    return charts


def space_charts(space: Space | None, bits: Mapping[str, float]) -> list[str]:
    """By layer and by language."""
    charts = []
    if space is not None:

        def by_layer(title: str, values: Iterable[float]) -> str:
            points = [(float(layer), value) for layer, value in enumerate(values)]
            return line_chart(title, Across("layer", whole=True), [Line("last", points)])

        charts = [
            by_layer("Alignment by layer", space.alignment_by_layer),
            by_layer("Centroid gap by layer", space.centroid_gap_by_layer),
            by_layer("Anisotropy by layer", space.anisotropy_by_layer),
            dot_chart(f"Retrieval with {space.pivot} on dev, top-1", {"top-1": space.top1}),
        ]
    charts.append(dot_chart("Bits per byte on dev", {"bits per byte": bits}, best="low"))
    if space is not None:
        charts += [
            dot_chart(f"Alignment with {space.pivot}", {"alignment": space.alignment}),
            dot_chart(f"Hubness of {space.pivot}'s texts", {"skewness": space.hubness}, best="low"),
        ]
    return charts


def evaluation_charts(report: EvaluationReport | None) -> list[str]:
    """What `xformer evaluate` found, beside the baselines."""
    if report is None:
        return []
    retrieval, mlm = report.retrieval, report.mlm
    languages = retrieval.languages
    return [
        dot_chart(
            f"Retrieval with {retrieval.pivot}, top-1",
            {
                "model": {tag: one.top1 for tag, one in languages.items()},
                "bag of subwords": {tag: one.bag_top1 for tag, one in languages.items()},
                "untrained": {tag: one.untrained_top1 for tag, one in languages.items()},
            },
        ),
        dot_chart(
            "Masked-LM bits per byte",
            {
                "model": mlm.bits_per_byte,
                "unigram, told the language": mlm.unigram_bits_per_byte,
                "untrained": mlm.untrained_bits_per_byte,
            },
            best="low",
        ),
    ]


def share_charts(metrics: Metrics) -> list[str]:
    """What each language was to have of the texts, what it had, and what that was of the tokens."""
    shares = Shares()
    for line in metrics:
        shares.add(line)
    kinds: dict[str, Kind] = {"asked for": "asked", "drawn": "drawn", "of the tokens": "tokens"}
    percent = {
        name: {tag: 100 * share for tag, share in shares.of(kind).items()} for name, kind in kinds.items()
    }
    return [dot_chart("Shares by language, percent", percent, log=True)]


def example_tables(message: Sequence[Example], mistakes: Sequence[Example], pivot: str) -> list[str]:
    """One message in every language, and each language's most certain mistake."""
    tables = []
    rows: list[tuple[Example, tuple[str, ...]]]
    if message:
        found = sum(one.right for one in message)
        title = f"One message in {len(message)} languages, found in {found}: {message[0].translation}"
        rows = [(one, (one.text, "✓" if one.right else one.nearest)) for one in message]
        tables.append(_table(title, (f"nearest in {pivot}",), rows, pivot))
    if mistakes:
        rows = [(one, (one.text, one.nearest, one.translation)) for one in mistakes]
        headings = (f"nearest in {pivot}", f"its translation in {pivot}")
        tables.append(_table("The most certain mistake in each language", headings, rows, pivot))
    return tables


def _table(
    title: str, headings: Sequence[str], rows: Sequence[tuple[Example, tuple[str, ...]]], pivot: str
) -> str:
    head = "".join(f'<th scope="col">{_escape(name)}</th>' for name in ("language", "text", *headings))
    body = []
    for one, texts in rows:
        # Each text in its own direction, whatever stands beside it.
        cells = "".join(
            f'<td lang="{_escape(one.language if place == 0 else pivot)}" dir="auto">{_escape(text)}</td>'
            for place, text in enumerate(texts)
        )
        body.append(f'<tr><th scope="row">{_escape(one.language)}</th>{cells}</tr>')
    return (
        f'<figure class="wide"><figcaption dir="auto">{_escape(title)}</figcaption>'
        f'<div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div></figure>"
    )


def _over_time(lines: Metrics, name: str, *keys: str | int, times: float = 1.0) -> Line:
    """What lies under `keys` in each line that has it, times a factor, against minutes of training."""
    points = []
    for line in lines:
        found: Any = line
        for key in keys:
            if isinstance(key, int):
                found = found[key] if isinstance(found, list) and key < len(found) else None
            else:
                found = found.get(key) if isinstance(found, Mapping) else None
        if found is not None:
            points.append((line["elapsed"] / 60, times * found))
    return Line(name, points)


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
