"""Model card of a run that translates or summarizes: directions, scores, data, limits, use."""

from __future__ import annotations

from xformer.data.languages import named
from xformer.progress import duration
from xformer.runs.checkpoint import best_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.translation.config import TranslationConfig
from xformer.translation.data_record import TranslationRecord
from xformer.version import __version__


def write_translation_card(run: RunDirectory, results: str | None, seen: int) -> None:
    """Write the run's README.md from its settings, its data and its scores.

    Args:
        run: with a checkpoint.
        results: its scores as Markdown; None where it was not tested.
        seen: test texts that stand in the training part as well.
    """
    config = run.load_config(TranslationConfig)
    record = TranslationRecord.load(run) if run.translated_data.is_file() else None
    command = "summarize" if config.translation.summarizes else "translate"
    parts = [
        f"# {run.path.resolve().name}\n",
        summary(config),
        "## Results\n",
        results or "Not tested.\n",
        "## Training\n",
        training(run, config),
        *([] if record is None else ["## Data\n", data(record)]),
        "## Limits\n",
        *(f"- {line}" for line in limits(config, seen)),
        "\n## Use\n",
        f"```sh\nxformer {command} {run.path} --to {config.translation.targets[0]} < texts\n```\n",
    ]
    with atomic_write(run.model_card) as file:
        file.write("\n".join(parts))


def limits(config: TranslationConfig, seen: int) -> list[str]:
    """What the scores do not show: sentences."""
    options = config.translation
    found = [
        f"It reads the first {options.max_tokens} tokens of a text, and nothing after them."
        if options.summarizes
        else f"It reads texts of up to {options.max_tokens} tokens, each alone: a sentence or a few.",
        "It has learned from texts of one kind: of another one it may make a text that looks right and means"
        " something else.",
    ]
    if len(options.targets) > 1 or len(options.sources) > 1:
        found.append(
            "Directions that are not listed are possible between the languages, and were never learned."
        )
    if seen:
        found.append(f"{seen:,} test texts stand in the training part as well.")
    return found


def summary(config: TranslationConfig) -> str:
    """What was trained: directions, sizes, origin."""
    options, encoder, decoder = config.translation, config.encoder, config.decoder
    names = ", ".join(
        f"{named(one.source)} to {named(one.target)}" if one.source != one.target else named(one.source)
        for one in options.pairs
    )
    kind = "A writer of summaries" if options.summarizes else "A translator"
    origin = "random weights" if config.origin.run is None else config.origin.run
    return (
        f"{kind} trained with xformer {__version__}: {names}.\n\n"
        f"- {encoder.n_layers} encoder and {decoder.n_layers} decoder blocks, width {encoder.d_model},"
        f" feed-forward {encoder.d_ff}, {encoder.rows:,} subwords and tags shared by all languages\n"
        f"- it began from {origin}\n"
    )


def training(run: RunDirectory, config: TranslationConfig) -> str:
    """How the best checkpoint came about."""
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


def data(record: TranslationRecord) -> str:
    """Pairs by part and direction, and their licence."""
    lines = ["| part | direction | pairs |", "|---|---|---:|"]
    for part, its in (("train", record.train), ("dev", record.dev), ("test", record.test)):
        lines += [f"| {part} | {name} | {count:,} |" for name, count in its.pairs.items()]
    said = f"\nLicence: {record.licence}.\n" if record.licence else "\nNobody said under which licence.\n"
    return "\n".join(lines) + "\n" + said
