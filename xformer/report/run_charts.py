"""The charts and tables of a run's page, a list for each section."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from xformer.data.languages import counted, named
from xformer.evaluation.names import label, short_names
from xformer.evaluation.picture import retrieval_chart
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.shares import Kind, Shares
from xformer.evaluation.space import Space
from xformer.plotting.charts import Axis, DotChart, LineChart, Series
from xformer.plotting.page import Cell, Column, table
from xformer.report.examples import Example
from xformer.runs.config import RunConfig
from xformer.runs.loss_plot import Clock, Metrics, loss_charts

Charts = list[LineChart | DotChart]


def by_name(values: Mapping[str, float]) -> dict[str, float]:
    """Values by language, under the names of a chart's rows."""
    rows = short_names(values)
    return {rows[tag]: value for tag, value in values.items()}


def training_charts(metrics: Metrics, config: RunConfig) -> Charts:
    """Losses, throughput, learning rates, gradient norm."""
    clock = Clock.of(metrics)
    rates = [
        clock.series(metrics, group, "lr_factor", group, times=rate)
        for group, rate in config.optimizer.rates.items()
        if group != "bigrams" or config.model.bigrams
    ]
    norm = clock.series(metrics, "last", "gradient_norm")
    return [
        *loss_charts(metrics),
        clock.chart("Learning rates", *rates, log=True),
        clock.chart("Gradient norm before clipping", norm, log=True),
    ]


def panel_charts(panel: Metrics, metrics: Metrics) -> Charts:
    """What the panel measured over time, and each language's first and last scores."""
    clock = Clock.of(metrics, panel)
    wanted = {
        "mean_top1": "Retrieval, mean top-1",
        "mean_bits_per_byte": "Bits per byte, mean",
        "centroid_gap": "Centroid gap",
        "anisotropy": "Anisotropy",
        "hubness": "Hubness, mean",
    }
    charts: Charts = [clock.chart(title, clock.series(panel, "last", name)) for name, title in wanted.items()]
    depth = max((len(line.get("alignment_by_layer", ())) for line in panel), default=0)
    # Four at most, from the embedding to the last block, so that they can be told apart.
    layers = sorted({round(part * (depth - 1) / 3) for part in range(4)}) if depth else []
    by_layer = [clock.series(panel, f"layer {n}", "alignment_by_layer", n) for n in layers]
    charts.append(clock.chart("Alignment by layer", *by_layer))
    for name, title in (("top1", "Retrieval, top-1"), ("bits_per_byte", "Bits per byte")):
        scores = [line[name] for line in panel if line.get(name)]
        if len(scores) > 1:
            values = {"last": by_name(scores[-1]), "first": by_name(scores[0])}
            best: Literal["high", "low"] = "high" if name == "top1" else "low"
            charts.append(DotChart(f"{title}, first and last scores by language", values, best=best))
    return charts


def space_charts(space: Space | None, bits: Mapping[str, float]) -> Charts:
    """The shared space by layer and by language, and bits per byte by language."""
    bits_chart = DotChart("Bits per byte on dev", {"bits per byte": by_name(bits)}, best="low")
    if space is None:
        return [bits_chart]

    pivot = named(space.pivot)

    def by_layer(title: str, values: Iterable[float]) -> LineChart:
        points = [(float(layer), value) for layer, value in enumerate(values)]
        return LineChart(title, Axis("layer", whole=True), [Series("last", points)], lasts=True)

    return [
        by_layer("Alignment by layer", space.alignment_by_layer),
        by_layer("Centroid gap by layer", space.centroid_gap_by_layer),
        by_layer("Anisotropy by layer", space.anisotropy_by_layer),
        DotChart(f"Retrieval with {pivot} on dev, top-1", {"top-1": by_name(space.top1)}),
        bits_chart,
        DotChart(f"Alignment with {pivot}", {"alignment": by_name(space.alignment)}),
        DotChart(f"Hubness of texts in {pivot}", {"skewness": by_name(space.hubness)}, best="low"),
    ]


def evaluation_charts(report: EvaluationReport | None) -> Charts:
    """What `xformer evaluate` found, beside the baselines."""
    if report is None:
        return []
    mlm = report.mlm
    bits = {
        "model": by_name(mlm.bits_per_byte),
        "unigram of the language": by_name(mlm.unigram_bits_per_byte),
        "untrained model": by_name(mlm.untrained_bits_per_byte),
    }
    found = [] if report.retrieval is None else [retrieval_chart(report.retrieval)]
    return [*found, DotChart("Masked-LM bits per byte", bits, best="low")]


def share_charts(metrics: Metrics) -> Charts:
    """Each language's requested and realised share of the texts, and its share of the tokens."""
    shares = Shares()
    for line in metrics:
        shares.add(line)
    kinds: dict[str, Kind] = {"requested": "asked", "realised": "drawn", "of the tokens": "tokens"}
    percent = {
        name: by_name({tag: 100 * share for tag, share in shares.of(kind).items()})
        for name, kind in kinds.items()
    }
    return [DotChart("Shares by language, percent", percent, Axis(log=True))]


def example_tables(message: Sequence[Example], mistakes: Sequence[Example], pivot: str) -> list[str]:
    """One message in every language, and each language's most certain mistake."""
    tables = []
    if message:
        found = sum(one.right for one in message)
        title = f"One message in {counted(len(message))}, found in {found}: {message[0].translation}"
        rows = [(one, (one.text, "✓" if one.right else one.nearest)) for one in message]
        tables.append(_example_table(title, (f"nearest in {named(pivot)}",), rows, pivot))
    if mistakes:
        title = "The most certain mistake in each language"
        full = [(one, (one.text, one.nearest, one.translation)) for one in mistakes]
        headings = (f"nearest in {named(pivot)}", f"its translation in {named(pivot)}")
        tables.append(_example_table(title, headings, full, pivot))
    return tables


def _example_table(
    title: str, headings: Sequence[str], rows: Sequence[tuple[Example, tuple[str, ...]]], pivot: str
) -> str:
    cells = [
        [
            Cell(label(one.language)),
            *(Cell(text, language=pivot if n else one.language) for n, text in enumerate(texts)),
        ]
        for one, texts in rows
    ]
    return table([Column(name) for name in ("language", "text", *headings)], cells, caption=title)
