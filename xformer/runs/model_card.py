"""Model card of a run: architecture, results, training, and data, with a table of languages."""

from __future__ import annotations

from xformer.data.languages import counted, language_name
from xformer.data.manifest import Manifest
from xformer.progress import duration
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import PRETRAINING_FIELDS, read_metrics
from xformer.runs.origin import Origin
from xformer.storage.files import atomic_write
from xformer.version import __version__


def write_model_card(run: RunDirectory) -> None:
    """Write the run's README.md from its settings, manifest, metrics and last evaluation."""
    config, manifest, origin = run.load_config(), Manifest.read(run.path), Origin.load(run)
    parts = [
        f"# {run.path.resolve().name}\n",
        summary(config, manifest),
        *([] if origin is None else ["## Origin\n", origin.said()]),
        "## Results\n",
        _results(run),
        *_outside(run),
        "## Training\n",
        _training(run),
        "## Data\n",
        data_tables(manifest),
        "## Use\n",
        f"```sh\nxformer evaluate {run.path}\n```\n",
        "The weights are in `checkpoints/` (safetensors, named like ModernBERT's), the SentencePiece model is"
        " `tokenizer.model`, and all settings are in `config.toml`.\n",
    ]
    with atomic_write(run.model_card) as file:
        file.write("\n".join(parts))


def summary(config: RunConfig, manifest: Manifest) -> str:
    """What the model is, in a sentence and a list."""
    model = config.model
    attention = "global attention" if model.window is None else f"local attention over {model.window} tokens"
    return (
        f"A multilingual encoder pretrained with xformer {__version__} on"
        f" {counted(len(manifest.languages))}.\n\n"
        f"- {model.n_layers} layers, width {model.d_model}, {model.n_heads} heads, feed-forward {model.d_ff}"
        f" ({model.activation}), {model.positions} positions, {attention}\n"
        f"- {model.rows:,} subwords shared by all languages ({config.tokenizer.model},"
        f" {config.tokenizer.normalization} normalisation)\n"
        f"- up to {config.data.max_length} tokens in training\n"
    )


def _results(run: RunDirectory) -> str:
    if not run.evaluation_table.is_file():
        return f"Not evaluated yet: `xformer evaluate {run.path}`.\n"
    picture = (
        f"![retrieval by language]({run.retrieval_plot.name})\n\n" if run.retrieval_plot.is_file() else ""
    )
    if run.space_plot.is_file():
        picture += f"![texts of several languages in one space]({run.space_plot.name})\n\n"
    return picture + run.evaluation_table.read_text(encoding="utf-8")


def _outside(run: RunDirectory) -> list[str]:
    """The evaluations on text from outside, each with its picture."""
    parts = []
    for path in sorted(run.outside.glob("*.md")):
        drawn = path.with_suffix(".png")
        picture = f"![retrieval by language and layer]({run.outside.name}/{drawn.name})\n\n"
        parts.append((picture if drawn.is_file() else "") + path.read_text(encoding="utf-8"))
    return ["## Results on other text\n", *parts] if parts else []


def _training(run: RunDirectory) -> str:
    lines = read_metrics(run.metrics, PRETRAINING_FIELDS)
    if not lines:
        return "Not trained any further.\n" if run.origin.is_file() else "Not trained yet.\n"
    last = lines[-1]
    losses = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in last["loss"].items())
    picture = f"![loss curves]({run.loss_plot.name})\n\n" if run.loss_plot.is_file() else ""
    return (
        f"{picture}{last['step']:,} steps, {last['tokens']:,} tokens, {duration(last['elapsed'])}."
        f" Last training losses, in nats per item: {losses}. They do not measure the model's quality: they"
        " compare a hidden token with a sample of the vocabulary, and a text with the others of its step.\n"
    )


def data_tables(manifest: Manifest) -> str:
    """The sources of a corpus with their licences, and its languages, as Markdown tables."""
    train = manifest.split("train")
    sources = "\n".join(f"| {_cell(source.name)} | {_cell(source.licence)} |" for source in manifest.sources)
    rows = "\n".join(
        f"| {language} | {_cell(language_name(language))} | {counts.records:,} | {counts.chars:,} |"
        for language, counts in sorted(train.languages.items())
    )
    return (
        f"{train.total.records:,} texts, {train.total.chars:,} characters in {train.groups:,} groups of"
        f" translations.\n\n"
        f"| source | licence |\n|---|---|\n{sources}\n\n"
        f"| language | name | texts | characters |\n|---|---|---:|---:|\n{rows}\n"
    )


def _cell(text: str) -> str:
    """Text as a cell of a Markdown table, with special characters escaped."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
