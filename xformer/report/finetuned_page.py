"""The page of a fine-tuned run: scores by language, confusion, reliability, how it learned, what from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xformer.data.languages import counted, named
from xformer.errors import InputError
from xformer.evaluation.classification.picture import (
    accuracy_chart,
    confusion_chart,
    reliability_chart,
    shown_languages,
)
from xformer.evaluation.classification.report import ClassificationReport
from xformer.evaluation.classification.table import (
    accuracy_headers,
    accuracy_rows,
    class_headers,
    class_languages,
    class_rows,
    score_headers,
    score_rows,
    summary,
)
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.data_record import DataRecord, read_data_record
from xformer.finetuning.model_card import data_rows, label_rows, limits
from xformer.finetuning.temperature import Temperature, recorded_temperature
from xformer.finetuning.watch import watched_so_far
from xformer.plotting.charts import Axis, Chart, Figure, LineChart, Series
from xformer.plotting.page import Cell, Column, Section, pictures, table
from xformer.plotting.page import page as html_page
from xformer.plotting.svg import escape, figure_html
from xformer.progress import duration
from xformer.runs.checkpoint import TrainingState, best_checkpoint, newest_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.loss_plot import Clock, Metrics
from xformer.runs.metrics import read_metrics, without_remnant

_MOST_LINES = 9


@dataclass(frozen=True)
class FinetunedPage:
    """All that the page shows.

    Attributes:
        name: of the run.
        config: its settings.
        metrics: lines of metrics.jsonl.
        evaluations: of the held-out texts: steps and shares of wrong answers.
        chosen: the state of the checkpoint that they chose; None before the first.
        watched: accuracy on samples of test texts, by step and language, which chose nothing.
        temperature: of that checkpoint; None where it has none.
        record: of the data; None where the run is not complete.
        report: the scores; None where there is no test text, or not yet.
    """

    name: str
    config: FinetuningConfig
    metrics: Metrics
    evaluations: Sequence[tuple[int, float]]
    chosen: TrainingState | None
    watched: dict[int, dict[str, float]]
    temperature: Temperature | None
    record: DataRecord | None
    report: ClassificationReport | None


def read_finetuned(run: RunDirectory) -> FinetunedPage:
    """Read what a fine-tuned run has left; the run may still be training.

    Raises:
        InputError: it has not begun to train, or a file is damaged.
    """
    metrics = read_metrics(run.metrics)
    if not metrics:
        raise InputError(f"{run.path}: expected a run that has begun to train, found no line of its log")
    newest, best = newest_checkpoint(run.checkpoints, kinds=[]), best_checkpoint(run.checkpoints)
    chosen = None if best is None else best.state
    return FinetunedPage(
        name=run.path.resolve().name,
        config=run.load_config(FinetuningConfig),
        metrics=metrics,
        evaluations=() if newest is None else tuple(newest.state.evaluations),
        chosen=chosen,
        watched=watched_so_far(run),
        temperature=None if chosen is None else recorded_temperature(run, chosen.step),
        record=read_data_record(run),
        report=ClassificationReport.load(run.classification) if run.classification.is_file() else None,
    )


def finetuned_page(found: FinetunedPage) -> str:
    """The page as text. A section without anything to show is left out."""
    report = found.report
    sections = [
        Section("summary", "Summary", table([Column(""), Column("")], _summary(found))),
        Section("training", "Training", _figures(training_charts(found)), _TRAINING),
        *([] if report is None or not report.languages else _scores(report)),
        *([] if found.record is None else [_data(found.record)]),
        Section("limits", "Limits", _list(limits(found.config, found.record, report))),
    ]
    return html_page(f"xformer: {found.name}", sections)


def training_charts(found: FinetunedPage) -> list[LineChart]:
    """Losses and wrong answers over the time, accuracies by step."""
    clock, means = Clock.of(found.metrics), without_remnant(found.metrics)
    steps = Axis("step", whole=True)
    held_out = [(float(step), 1.0 - wrong) for step, wrong in found.evaluations]
    learned = [
        (float(line["step"]), 1.0 - line["loss"]["error"]) for line in means if "error" in line["loss"]
    ]
    tags = sorted({tag for one in found.watched.values() for tag in one})[:_MOST_LINES]
    lines = [
        Series(tag, [(float(step), one[tag]) for step, one in sorted(found.watched.items()) if tag in one])
        for tag in tags
    ]
    norm = clock.series(found.metrics, "last", "gradient_norm")
    return [
        clock.chart("Loss, nats per text", clock.series(means, "last", "loss", "classification")),
        LineChart(
            "Accuracy: training and held-out texts",
            steps,
            [Series("held out", held_out), Series("training, while it learns", learned)],
            lasts=True,
        ),
        LineChart("Accuracy on samples of test texts, which chose nothing", steps, lines, lasts=True),
        clock.chart("Gradient norm before clipping", norm, log=True),
        clock.chart("Tokens per second", clock.series(means, "last", "tokens_per_s")),
    ]


_TRAINING = (
    "The checkpoint with the fewest wrong answers on held-out texts of the languages that the run learned in"
    " was chosen. Test texts were watched for the oracle gap alone."
)


def _scores(report: ClassificationReport) -> list[Section]:
    """Tables and charts of what was measured on test texts."""
    tables = [
        _table(accuracy_headers(report), accuracy_rows(report), "Accuracy by language, beside the baselines"),
        _table(score_headers(report), score_rows(report), "Other scores of the model"),
    ]
    shown = shown_languages(report)
    confused = [confusion_chart(report, tag) for tag in shown if report.languages[tag].confusion]
    classes = class_rows(report)
    classified = _table(class_headers(report), classes, f"In {', '.join(class_languages(report))}")
    return [
        Section("languages", "Languages", pictures([*tables, _figure(accuracy_chart(report))])),
        Section("meaning", "What the numbers mean", _list(summary(report))),
        Section(
            "calibration",
            "Calibration",
            _figures([reliability_chart(report, tag) for tag in shown]),
            "How often answers of some confidence are right, with the temperature that held-out texts chose,"
            " and without it. On the dotted line a model is as sure as it is right.",
        ),
        Section(
            "classes",
            "Classes",
            pictures([*([classified] if classes else []), *map(_figure, confused)]),
        ),
    ]


def _summary(found: FinetunedPage) -> list[tuple[Cell, Cell]]:
    config, state, report = found.config, found.chosen, found.report
    base = config.base
    last = found.metrics[-1]
    rows = [
        ("encoder", f"{base.run} at step {base.step:,}" if base.init == "pretrained" else "random weights"),
        ("labels", ", ".join(config.classifier.labels)),
        ("learned", "the head alone" if config.classifier.frozen else "all of it"),
        ("trained", f"{duration(last['elapsed'])}, {last['step']:,} steps, {last['tokens']:,} tokens"),
    ]
    if state is not None:
        right = "" if state.held_out is None else f", {1 - state.held_out:.3f} of held-out texts right"
        rows.append(("checkpoint", f"step {state.step:,}{right}"))
    if (temperature := found.temperature) is not None:
        rows.append(
            (
                "temperature",
                f"{temperature.temperature:.3f}; calibration error of held-out texts"
                f" {temperature.ece_before:.3f} → {temperature.ece:.3f}",
            )
        )
    if report is not None:
        rows.append(("learned in", ", ".join(map(named, report.source))))
        for name, tags in (("accuracy in these", report.source), ("accuracy in others", report.targets)):
            tested = tuple(tag for tag in tags if tag in report.languages)
            if (mean := report.mean("model", tested)) is not None:
                rows.append((name, f"{mean:.3f}, {counted(len(tested))}"))
    if found.record is not None:
        rows.append(("licence of the texts", found.record.licence or "not told"))
    return [(Cell(name), Cell(value)) for name, value in rows]


def _data(record: DataRecord) -> Section:
    tables = [
        _table(("part", "files", "texts", "languages"), data_rows(record), "Parts", texts=(1, 3)),
        _table(("label", "training", "held out", "test"), label_rows(record), "Labels"),
    ]
    return Section("data", "Data", pictures(tables))


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str, texts: Sequence[int] = ()
) -> str:
    columns = [Column(name, number=place > 0 and place not in texts) for place, name in enumerate(heads)]
    return table(columns, [[Cell(cell) for cell in row] for row in rows], caption=caption)


def _figures(charts: Sequence[Chart]) -> str:
    return pictures([_figure(chart) for chart in charts])


def _figure(chart: Chart) -> str:
    return figure_html(Figure([chart]))


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
