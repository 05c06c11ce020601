"""Model card of a translation run: directions, scores, data, limits, use."""

from __future__ import annotations

from xformer.data.languages import named
from xformer.evaluation.translation.report import TranslationReport
from xformer.evaluation.translation.table import translation_markdown
from xformer.progress import duration
from xformer.runs.checkpoint import best_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.translation.config import TranslationConfig
from xformer.translation.data_record import TranslationRecord
from xformer.version import __version__


def write_translation_card(run: RunDirectory, report: TranslationReport) -> None:
    """Write the run's README.md from its settings, its data and its scores.

    Args:
        run: a translation run with a checkpoint.
        report: its scores, maybe of no direction.
    """
    config = run.load_config(TranslationConfig)
    record = TranslationRecord.load(run) if run.translated_data.is_file() else None
    results = "Not tested.\n"
    if report.directions:
        results = (
            f"On held-out texts that chose nothing, with a beam of {report.beam}; intervals are over"
            f" resampled texts. Copying the source stands beside it.\n\n{translation_markdown(report)}"
        )
    parts = [
        f"# {run.path.resolve().name}\n",
        _summary(config),
        "## Results\n",
        results,
        "## Training\n",
        _training(run, config),
        *([] if record is None else ["## Data\n", _data(record)]),
        "## Limits\n",
        *(f"- {line}" for line in limits(config, report)),
        "\n## Use\n",
        f"```sh\nxformer translate {run.path} --to {config.translation.targets[0]} < texts\n```\n",
    ]
    with atomic_write(run.model_card) as file:
        file.write("\n".join(parts))


def limits(config: TranslationConfig, report: TranslationReport) -> list[str]:
    """What the scores do not show: sentences."""
    options = config.translation
    found = [
        f"It reads texts of up to {options.max_tokens} tokens, each alone: a sentence or a few.",
        "It has learned from texts of one kind: of another one it may make a text that looks right and means"
        " something else.",
    ]
    if len(options.targets) > 1 or len(options.sources) > 1:
        found.append(
            "Directions that are not listed are possible between the languages, and were never learned."
        )
    if report.seen:
        found.append(f"{report.seen:,} test texts stand in the training part as well.")
    return found


def _summary(config: TranslationConfig) -> str:
    options, encoder, decoder = config.translation, config.encoder, config.decoder
    names = ", ".join(f"{named(one.source)} to {named(one.target)}" for one in options.pairs)
    origin = "random weights" if config.origin.run is None else config.origin.run
    return (
        f"A translator trained with xformer {__version__}: {names}.\n\n"
        f"- {encoder.n_layers} encoder and {decoder.n_layers} decoder blocks, width {encoder.d_model},"
        f" feed-forward {encoder.d_ff}, {encoder.rows:,} subwords and tags shared by all languages\n"
        f"- it began from {origin}\n"
    )


def _training(run: RunDirectory, config: TranslationConfig) -> str:
    best = best_checkpoint(run.checkpoints)
    if best is None:
        return "Not trained yet.\n"
    state, options = best.state, config.translation
    mean = f", mean of the weights with decay {options.averaging}" if options.averaging else ""
    return (
        f"{state.step:,} steps, {state.tokens:,} tokens, {duration(state.elapsed)}: the checkpoint with the"
        f" highest chrF on dev texts, {100 - (state.held_out or 0):.2f}. Label smoothing"
        f" {options.label_smoothing}, R-drop {options.r_drop}{mean}.\n"
    )


def _data(record: TranslationRecord) -> str:
    lines = ["| part | direction | pairs |", "|---|---|---:|"]
    for part, its in (("train", record.train), ("dev", record.dev), ("test", record.test)):
        lines += [f"| {part} | {name} | {count:,} |" for name, count in its.pairs.items()]
    said = f"\nLicence: {record.licence}.\n" if record.licence else "\nNobody said under which licence.\n"
    return "\n".join(lines) + "\n" + said
