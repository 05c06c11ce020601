"""`xformer report`: a run as one HTML page, which needs no other file and makes no request."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from xformer.data.languages import counted, find_language
from xformer.errors import InputError
from xformer.evaluation.alignment.report import AlignmentReport
from xformer.evaluation.bits_per_byte import HiddenTokens, bits_per_byte, model_surprisal
from xformer.evaluation.outside.report import OutsideReport
from xformer.evaluation.outside.run import outside_reports
from xformer.evaluation.panel import SAMPLE
from xformer.evaluation.parallel_texts import ParallelTexts
from xformer.evaluation.picture import space_chart, space_note
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.space import Space, layer_vectors, measure_space
from xformer.evaluation.space_map import MapChoice, SpaceMap, space_map
from xformer.plotting.charts import Figure
from xformer.plotting.page import Cell, Column, Section, pictures, table
from xformer.plotting.page import page as html_page
from xformer.plotting.svg import figure_html
from xformer.pretraining.load import load_run
from xformer.pretraining.prepare import open_shards
from xformer.progress import Progress, duration
from xformer.report.examples import Example, find_examples
from xformer.report.finetuned_page import finetuned_page, read_finetuned
from xformer.report.inside_outside import outside_section
from xformer.report.neutrality import neutrality_section
from xformer.report.run_charts import (
    Charts,
    evaluation_charts,
    example_tables,
    panel_charts,
    share_charts,
    space_charts,
    training_charts,
)
from xformer.runs.checkpoint import TrainingState
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.kind import CLASSIFICATION, task_of
from xformer.runs.loss_plot import Metrics
from xformer.runs.metrics import PRETRAINING_FIELDS, read_metrics
from xformer.runs.sentence_layer import recorded_layer
from xformer.storage.files import atomic_write, try_to_write
from xformer.tokenizer import Tokenizer


@dataclass(frozen=True)
class RunReport:
    """All that the page shows.

    Attributes:
        name: of the run.
        config: its settings.
        state: how far it is; None before the first checkpoint.
        parameters: of the model; None likewise.
        metrics: lines of metrics.jsonl.
        panel: lines of panel.jsonl, if the run has that.
        space: how languages lie in the newest checkpoint's space, on the dev split.
        bits: bits per byte on the dev split, by language.
        evaluation: what `xformer evaluate` found, if it was asked.
        message: one message of the dev split in many languages, and the nearest text of the pivot to each.
        mistakes: a text in each language whose nearest is not its translation.
        map: texts of several languages in two dimensions.
        outside: what `xformer evaluate --on` found on other text.
        alignment: what `xformer evaluate --alignment` found.
    """

    name: str
    config: RunConfig
    state: TrainingState | None
    parameters: int | None
    metrics: Metrics
    panel: Metrics
    space: Space | None
    bits: Mapping[str, float]
    evaluation: EvaluationReport | None
    message: tuple[Example, ...] = ()
    mistakes: tuple[Example, ...] = ()
    map: SpaceMap | None = None
    outside: tuple[OutsideReport, ...] = ()
    alignment: AlignmentReport | None = None


def write_run_page(
    path: str | os.PathLike[str],
    out: Path | None,
    progress: Progress,
    device: torch.device | None = None,
) -> Path:
    """Measure the newest checkpoint on the dev split, and write the page.

    Of a fine-tuned run nothing is measured: the page shows what `xformer finetune` found.

    Args:
        path: the run directory.
        out: the HTML file; left out, `report.html` in the run.
        progress: where to show what happens.
        device: left out, a GPU if there is one.

    Returns:
        Where the page is.

    Raises:
        InputError: there is no run, nothing in it to show, or no page can be written there.
    """
    run = find_run(path)
    target = out or Path(path) / "report.html"
    try:
        try_to_write(target)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written ({error.strerror}); --out puts the page elsewhere"
        ) from error
    if task_of(run) == CLASSIFICATION:
        text = finetuned_page(read_finetuned(run))
    else:
        text = page(read_run(path, progress, device))
    with atomic_write(target) as file:
        file.write(text)
    return target


def read_run(
    path: str | os.PathLike[str], progress: Progress, device: torch.device | None = None
) -> RunReport:
    """Read a run's logs, and measure its newest checkpoint if it has one.

    Raises:
        InputError: there is no run, or nothing in it to show.
    """
    run = find_run(path)
    metrics = read_metrics(run.metrics, PRETRAINING_FIELDS)
    panel = read_metrics(run.panel, ("step", "elapsed"))
    if not checkpoint_folders(run.checkpoints):
        if not metrics:
            raise InputError(f"{run.path}: expected a run that has begun to train, found no line of its log")
        return RunReport(
            run.path.name, run.load_config(), None, None, metrics, panel, None, {}, _evaluated(run)
        )
    _, config, model, state = load_run(run.path)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    tokenizer = Tokenizer.load(run.tokenizer)
    dev = open_shards(run, "dev", tokenizer)
    space = None
    message: tuple[Example, ...] = ()
    mistakes: tuple[Example, ...] = ()
    shown: SpaceMap | None = None
    try:
        texts = ParallelTexts.of(dev, find_language(dev.languages, config.data.pivot) or config.data.pivot)
        layers = layer_vectors(model, texts, device=device, progress=progress)
        space = measure_space(texts, layers)
        message, mistakes = find_examples(texts, layers[-1], tokenizer.decode)
        chosen = recorded_layer(run, state.step)
        vectors = layers[-1] if chosen is None else layers[chosen.layer]
        shown = space_map(texts, MapChoice.of(texts, tokenizer.decode), vectors, tokenizer.decode)
    except InputError as error:
        progress.say(f"no picture of the shared space: {error}")
    bits = bits_per_byte(
        model_surprisal(model, device=device), HiddenTokens(dev), tokenizer.byte_lengths(), progress=progress
    )
    by_language = zip(dev.languages, bits.by_language.tolist(), strict=True)
    return RunReport(
        name=run.path.resolve().name,
        config=config,
        state=state,
        parameters=sum(p.numel() for p in model.parameters()),
        metrics=metrics,
        panel=panel,
        space=space,
        bits={tag: value for tag, value in by_language if math.isfinite(value)},
        evaluation=_evaluated(run),
        message=message,
        mistakes=mistakes,
        map=shown,
        outside=tuple(outside_reports(run)),
        alignment=AlignmentReport.load_if_there(run.alignment),
    )


def _evaluated(run: RunDirectory) -> EvaluationReport | None:
    return EvaluationReport.load(run.evaluation) if run.evaluation.is_file() else None


def page(report: RunReport) -> str:
    """The page as text. A chart without anything to draw is left out, and so is a section without any."""
    config, metrics = report.config, report.metrics
    tables = example_tables(report.message, report.mistakes, config.data.pivot)

    def figures(charts: Charts) -> list[str]:
        return [figure_html(Figure([chart])) for chart in charts]

    def section(anchor: str, title: str, text: str, charts: Charts) -> Section:
        return Section(anchor, title, pictures(figures(charts)), text)

    shown, space = report.map, figures(space_charts(report.space, report.bits))
    mapped = [figure_html(Figure([space_chart(shown)], note=space_note(shown)))] if shown is not None else []
    sections = [
        Section("summary", "Summary", table([Column(""), Column("")], _summary(report))),
        section("training", "Training", _training_text(report), training_charts(metrics, config)),
        section("panel", "While training", _panel_text(report), panel_charts(report.panel, metrics)),
        Section("space", "One space", pictures([*mapped, *space]), _SPACE),
        neutrality_section(report.alignment),
        section("evaluation", "Evaluation", _evaluation_text(report), evaluation_charts(report.evaluation)),
        outside_section(report.evaluation, report.outside),
        section("shares", "Languages requested and realised", _SHARES, share_charts(metrics)),
        Section("examples", "Examples", pictures(tables), _EXAMPLES),
    ]
    return html_page(f"xformer: {report.name}", sections)


_SPACE = (
    "The newest checkpoint on the dev split. Alignment: the mean cosine of translations minus that of"
    " texts that are no translations. Anisotropy: the mean cosine of any two texts. Centroid gap: the"
    " distance between the languages' centroids, in units of the distance between two texts of one"
    " language. Hubness: the skewness of how often a text of the pivot is among the ten nearest of a"
    " query. Layer 0 is the embedding. The map has the same messages whatever the model makes of them; its"
    " vectors are taken after the block where dev texts retrieve best, once that has been chosen."
)
_EXAMPLES = "Texts of the dev split, and the texts nearest to them in the newest checkpoint's space."
_SHARES = "Each language's requested and realised share of the texts, and its share of all tokens."


def _summary(report: RunReport) -> list[tuple[Cell, Cell]]:
    model, last = report.config.model, report.metrics[-1] if report.metrics else None
    pieces = report.config.model.vocab_size
    rows = [
        (
            "model",
            f"{model.n_layers} layers, width {model.d_model}, {model.n_heads} heads, feed-forward"
            f" {model.d_ff}, vocabulary {f'{pieces:,}' if pieces else 'not yet known'}",
        ),
        ("corpus", report.config.data.corpus),
    ]
    if report.parameters is not None:
        rows.append(("parameters", f"{report.parameters:,}"))
    if report.state is not None:
        state = report.state
        rows.append(("trained", f"{duration(state.elapsed)}, {state.step:,} steps, {state.tokens:,} tokens"))
        rows.append(("precision", state.precision or "not settled"))
        rows.append(("steps left out", f"{state.skipped} not finite, {state.spikes} spikes"))
    elif last is not None:
        rows.append(("trained", f"{duration(last['elapsed'])}, {last['step']:,} steps; no checkpoint yet"))
    if report.space is not None:
        space, top1 = report.space, report.space.top1
        rows += [
            ("retrieval on dev", f"{sum(top1.values()) / len(top1):.3f} top-1, {counted(len(top1))}"),
            ("alignment", f"{space.alignment_by_layer[-1]:.3f}"),
            ("centroid gap", f"{space.centroid_gap_by_layer[-1]:.3f}"),
            ("anisotropy", f"{space.anisotropy_by_layer[-1]:.3f}"),
            ("hubness", f"{sum(space.hubness.values()) / len(space.hubness):.2f}"),
        ]
    if report.bits:
        rows.append(("bits per byte on dev", f"{sum(report.bits.values()) / len(report.bits):.3f}, mean"))
    evaluation = report.evaluation
    if evaluation is not None and (scores := evaluation.retrieval) is not None:
        bag = "" if scores.bag_mean_top1 is None else f"; bag of subwords {scores.bag_mean_top1:.3f}"
        rows.append(
            (
                f"retrieval on {evaluation.split}",
                f"{scores.mean_top1:.3f} top-1, {counted(len(scores.languages))}{bag}, at step"
                f" {evaluation.step:,}",
            )
        )
    if evaluation is not None:
        mlm = evaluation.mlm
        below = f"in {len(mlm.below_unigram)} of {counted(len(mlm.bits_per_byte))}"
        rows.append(
            ("bits per byte below a unigram model of the language", f"{below}, on {evaluation.split}")
        )
    return [(Cell(name), Cell(value)) for name, value in rows]


def _training_text(report: RunReport) -> str:
    drawn = report.config.objectives.sampled_softmax_size
    softmax = f"a sampled softmax with {drawn:,} sampled tokens" if drawn else "the whole vocabulary"
    return (
        f"Losses of the training batches. The masked LM's is over {softmax}, so it cannot be compared with"
        " the bits per byte below. The alignment loss compares a text's translation with the other texts"
        " of its step, which are fewer after the embedding warm-up stage."
    )


def _panel_text(report: RunReport) -> str:
    every = report.config.training.panel_every
    return (
        f"Measured every {every:g} s of the run, on at most {SAMPLE} messages of the dev split. Retrieval"
        " among so few is easier than below."
    )


def _evaluation_text(report: RunReport) -> str:
    found = report.evaluation
    if found is None:
        return ""
    return f"The results of `xformer evaluate` on the {found.split} split, at step {found.step:,}."
