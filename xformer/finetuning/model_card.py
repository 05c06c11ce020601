"""Model card of a fine-tuned run: labels, scores beside baselines, calibration, data, limits, use."""

from __future__ import annotations

from collections.abc import Sequence

from xformer.data.languages import language_name, named
from xformer.evaluation.classification.report import ClassificationReport
from xformer.evaluation.classification.table import markdown, markdown_of
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.data_record import DataRecord, PartRecord, read_data_record
from xformer.finetuning.temperature import Temperature, recorded_temperature
from xformer.progress import duration
from xformer.runs.checkpoint import TrainingState, best_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.storage.files import atomic_write
from xformer.version import __version__

_MOST_LABELS = 40


def write_finetuned_card(run: RunDirectory, report: ClassificationReport | None) -> None:
    """Write the run's README.md from its settings, its data, its log and its scores.

    Args:
        run: a fine-tuned run with a checkpoint that held-out texts were tried on.
        report: its scores; None where it has no test texts.
    """
    config, record = run.load_config(FinetuningConfig), read_data_record(run)
    best = best_checkpoint(run.checkpoints)
    state = None if best is None else best.state
    temperature = None if state is None else recorded_temperature(run, state.step)
    parts = [
        f"# {run.path.resolve().name}\n",
        _summary(config, record),
        "## Results\n",
        _results(run, report),
    ]
    parts += ["## Calibration\n", _calibration(temperature, report)]
    parts += ["## Training\n", _training(run, config, state)]
    if record is not None:
        parts += ["## Data\n", _data(record)]
    parts += ["## Limits\n", *(f"- {line}" for line in limits(config, record, report)), ""]
    parts += ["## Use\n", _use(run, config)]
    with atomic_write(run.model_card) as file:
        file.write("\n".join(parts))


def limits(
    config: FinetuningConfig, record: DataRecord | None, report: ClassificationReport | None
) -> list[str]:
    """What the scores do not show, and where they are low: sentences."""
    classifier = config.classifier
    unit = {"text": "text", "pair": "pair of texts", "words": "word"}[classifier.example]
    found = [
        "A text gets labels of this list alone."
        if classifier.multi_label
        else f"Each {unit} gets one of these labels, also one that none of them fits."
    ]
    if classifier.example != "words":
        found.append(
            f"The first {classifier.max_tokens:,} tokens of a text are read; what comes after is left out."
        )
    if report is None or not report.languages:
        return [*found, "It was not tested: nothing is known of texts that it has not learned from."]
    if untested := [tag for tag in report.source if tag not in report.languages]:
        found.append(f"There was no test text in {', '.join(map(named, untested))}, which it learned from.")
    if len(report.seeds) == 1:
        found.append(
            "One seed: intervals are over texts, and do not show how much another seed would differ."
        )
    accuracy = {tag: one.systems["model"].mean.accuracy for tag, one in report.languages.items()}
    worst = min(accuracy, key=lambda tag: accuracy[tag])
    if len(accuracy) > 1:
        found.append(
            f"Languages differ: accuracy is {accuracy[worst]:.3f} in {named(worst)}, and"
            f" {max(accuracy.values()):.3f} at best. Of languages that are not in the table nothing is known."
        )
    for name, said in (
        ("words", "TF-IDF words"),
        ("characters", "TF-IDF characters"),
        ("bag", "The bag of subwords"),
    ):
        below = [
            tag
            for tag, one in report.languages.items()
            if name in one.systems and one.systems[name].mean.accuracy > accuracy[tag]
        ]
        if below:
            found.append(f"{said} scores higher in {', '.join(map(named, below))}.")
    if record is not None and record.seen:
        found.append(
            f"{record.seen:,} of {record.test.examples:,} test texts stand in the training texts as well:"
            " scores are higher than of texts that it has not seen."
        )
    if record is not None:
        rare = [label for label, n in record.train.labels.items() if n < 20]
        if rare:
            some = ", ".join(rare[:8]) + (", …" if len(rare) > 8 else "")
            found.append(f"Fewer than 20 training texts have the label {some}.")
    return found


def data_rows(record: DataRecord) -> list[tuple[str, ...]]:
    """A row for each part of the data: what it is for, files, examples, languages."""
    parts = {
        "training": record.train,
        "held out, chose the checkpoint": record.dev,
        "test": record.test,
        "baselines within each language": record.within,
    }
    return [
        (
            name,
            ", ".join(part.files)
            or ("rows given in Python" if record.options is None else "of the training files"),
            f"{part.examples:,}",
            ", ".join(f"{tag} {n:,}" for tag, n in part.languages.items()),
        )
        for name, part in parts.items()
        if part.examples
    ]


def label_rows(record: DataRecord) -> list[tuple[str, ...]]:
    """How often each label stands in the training, held-out and test texts."""
    parts: Sequence[PartRecord] = (record.train, record.dev, record.test)
    labels = sorted(record.train.labels, key=lambda label: (-record.train.labels[label], label))
    return [(label, *(f"{part.labels.get(label, 0):,}" for part in parts)) for label in labels]


def _summary(config: FinetuningConfig, record: DataRecord | None) -> str:
    model, classifier, base = config.model, config.classifier, config.base
    of = {"text": "texts", "pair": "pairs of texts", "words": "words"}[classifier.example]
    begun = f"`{base.run}` at step {base.step:,}" if base.init == "pretrained" else "random weights"
    learned = "its head alone learned" if classifier.frozen else "all of it learned"
    languages = "" if record is None else f" in {', '.join(map(language_name, record.train.languages))}"
    corpus = config.consistency.corpus
    parallel = "" if corpus is None else f" Translations without labels, of `{corpus}`, taught it, too."
    several = ", of which a text may have several, or none" if classifier.multi_label else ""
    return (
        f"A classifier of {of}, fine-tuned with xformer {__version__} from {begun};"
        f" {learned}{languages}.{parallel}\n\n"
        f"- {len(classifier.labels)} labels{several}: {_some_labels(classifier.labels)}\n"
        f"- {config.layers} of {counted_layers(model.n_layers)}, width {model.d_model},"
        f" {model.rows:,} subwords, up to {classifier.max_tokens:,} tokens of a text\n"
    )


def counted_layers(n: int) -> str:
    """`1 block`, `2 blocks`."""
    return f"{n} block{'s' if n != 1 else ''}"


def _some_labels(labels: Sequence[str]) -> str:
    shown = ", ".join(f"`{' '.join(label.split())}`" for label in labels[:_MOST_LABELS])
    return shown + (", …" if len(labels) > _MOST_LABELS else "")


def _results(run: RunDirectory, report: ClassificationReport | None) -> str:
    if report is None or not report.languages:
        return "Not tested: there were no test texts.\n"
    shown = "".join(
        f"![{what}]({path.name})\n\n"
        for path, what in (
            (run.classification_plot, "accuracy by language, and reliability"),
            (run.confusion_plot, "confusion matrices"),
        )
        if path.is_file()
    )
    return shown + markdown(report)


def _calibration(temperature: Temperature | None, report: ClassificationReport | None) -> str:
    if temperature is None:
        return "Not calibrated: the run is not complete, or has no held-out text.\n"
    said = (
        f"Logits are divided by the temperature {temperature.temperature:.3f} (Guo et al. 2017), which"
        f" {temperature.texts:,} held-out texts chose; no label depends on it. Of these texts the expected"
        f" calibration error goes from {temperature.ece_before:.3f} to {temperature.ece:.3f}, the log loss"
        f" from {temperature.log_loss_before:.3f} to {temperature.log_loss:.3f}."
    )
    if report is None or not report.languages:
        return f"{said}\n"
    worse = [
        tag for tag, one in report.languages.items() if one.systems["model"].mean.ece > one.uncalibrated.ece
    ]
    rest = f" It makes it worse in {', '.join(map(named, worse))}." if worse else ""
    return (
        f"{said} Test texts are in the table above: `ECE` with the temperature, `ECE before` without.{rest}\n"
    )


def _training(run: RunDirectory, config: FinetuningConfig, state: TrainingState | None) -> str:
    lines = read_metrics(run.metrics)
    if not lines or state is None:
        return "Not trained yet.\n"
    last, optimizer = lines[-1], config.optimizer
    chosen = "" if state.held_out is None else f", with {1 - state.held_out:.3f} right"
    return (
        f"{last['step']:,} steps of {config.classifier.batch_texts} texts, {last['tokens']:,} tokens,"
        f" {duration(last['elapsed'])}; {state.precision}. The checkpoint of step {state.step:,} was chosen"
        f" by held-out texts of the languages that it learned in{chosen}. Learning rates: head"
        f" {optimizer.head_lr:g}, last block {optimizer.lr:g}, {optimizer.layer_decay:g} times that in each"
        " block below. All settings are in `config.toml`.\n"
    )


def _data(record: DataRecord) -> str:
    licence = record.licence or "not told; whoever passes the model on has to know it"
    left_out = ", ".join(f"{n:,} {why}" for why, n in record.left_out.items())
    rest = f"\nLeft out: {left_out}.\n" if left_out else ""
    return (
        f"Licence of the texts: {_line(licence)}\n\n"
        + markdown_of(("part", "files", "texts", "languages"), data_rows(record))
        + "\n"
        + markdown_of(("label", "training", "held out", "test"), label_rows(record))
        + rest
    )


def _use(run: RunDirectory, config: FinetuningConfig) -> str:
    command, call = {
        "text": (f"xformer classify {run.path} texts.txt", 'model.classify(["a text"])'),
        "pair": (f"xformer classify {run.path} pairs.tsv", 'model.classify([("a text", "another")])'),
        "words": (f"xformer tag {run.path} texts.txt", 'model.tag(["a text"])'),
    }[config.classifier.example]
    return (
        f"```sh\n{command}\n```\n\n```python\nimport xformer\n\n"
        f"model = xformer.load({str(run.path)!r})\n{call}\n```\n"
    )


def _line(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")
