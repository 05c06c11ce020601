"""The model card of an exported folder: how to load it, what it gives, its data and their licences."""

from __future__ import annotations

import json

from xformer.interop.export.compare import Comparison
from xformer.interop.export.source import Source
from xformer.interop.huggingface.tokenizer import MASK
from xformer.runs.config import RunConfig
from xformer.runs.model_card import data_tables, summary
from xformer.version import __version__


def model_card(source: Source, name: str, comparison: Comparison | None) -> str:
    """The card, as Markdown after the fields that a hub reads.

    Args:
        source: the run.
        name: of the folder.
        comparison: of the folder with the run; None where it was left out.
    """
    parts = [_fields(source), f"# {name}\n", _what(source), "## Use\n", _use(source, name), "## Limits\n"]
    parts += [_limits(source), "## Compared with the run\n", _compared(comparison), *_results(source)]
    if (manifest := source.manifest) is not None:
        parts += ["## Data\n", data_tables(manifest)]
    return "\n".join(parts)


def _fields(source: Source) -> str:
    manifest = source.manifest
    # The hub knows languages by their first part: sr-Latn is Serbian.
    languages = sorted({tag.split("-")[0] for tag in manifest.languages}) if manifest else []
    task = "sentence-similarity" if source.classes is None else "text-classification"
    tags = ["sentence-transformers", "feature-extraction", "multilingual", "xformer"]
    if source.head is not None:
        tags.append("fill-mask")
    lines = ["library_name: sentence-transformers", f"pipeline_tag: {task}", f"tags: {json.dumps(tags)}"]
    # In quotes: `no`, Norwegian, is a truth value in YAML.
    lines += [f"language: {json.dumps(languages)}"] if languages else []
    return "\n".join(["---", *lines, "---\n"])


def _what(source: Source) -> str:
    if isinstance(source.settings, RunConfig):
        manifest = source.manifest
        return "" if manifest is None else summary(source.settings, manifest)
    assert source.classes is not None
    labels = ", ".join(source.classes.labels)
    return f"A multilingual encoder, fine-tuned with xformer {__version__} to tell: {labels}.\n"


def _use(source: Source, name: str) -> str:
    lines = ["from sentence_transformers import SentenceTransformer", "from transformers import pipeline", ""]
    lines.append(f'vectors = SentenceTransformer("{name}").encode(["Open the file", "Datei öffnen"])')
    if source.head is not None:
        lines.append(f'pipeline("fill-mask", "{name}")("Please enter a valid {MASK} address.")')
    if source.classes is not None:
        lines.append(f'pipeline("text-classification", "{name}")("Open the file")')
    return "\n".join(["```python", *lines, "```\n"])


def _limits(source: Source) -> str:
    lines = [
        f"- Text after {source.max_length} tokens is cut off. In xformer the vector of a longer text is the"
        " mean of its parts'.",
        "- There is no `<s>` and no `</s>`: training had none.",
        "- Where two cuts of a text into pieces are equally probable, as in a run of one character,"
        " `tokenizers` may take another one than xformer.",
        "- An empty text has the zero vector beside others; alone it is refused by transformers, which cannot"
        " compute with no tokens.",
        "- The padding token is written `<pad\\ufdd0>`, so that no text has it.",
    ]
    if source.no_head is not None:
        lines.append("- It has no masked-LM head.")
    return "\n".join(lines) + "\n"


def _compared(comparison: Comparison | None) -> str:
    if comparison is None:
        return "Not compared.\n"
    versions = ", ".join(f"{name} {version}" for name, version in comparison.versions.items())
    logits = "" if comparison.logits_error is None else f", of logits {comparison.logits_error:.0e}"
    ties = f"{len(comparison.ties):,} differ, all of them ties" if comparison.ties else "all equal"
    return (
        f"When it was exported, with {versions}:\n\n"
        f"- token ids of {comparison.corpus_lines:,} lines of the corpus and {comparison.fuzzed_lines:,}"
        f" random ones in {comparison.scripts} blocks of Unicode: {ties}\n"
        f"- outputs of {comparison.texts:,} texts: largest error of hidden states"
        f" {comparison.hidden_error:.0e}{logits}, as shares of the largest value\n"
        f"- smallest cosine of a sentence vector with xformer's: {comparison.least_cosine:.7f}\n"
    )


def _results(source: Source) -> list[str]:
    """The tables of the last evaluation, with a row for each language."""
    run = source.run
    for path in (run.classification_table, run.evaluation_table):
        if path.is_file():
            return ["## Results\n", path.read_text(encoding="utf-8")]
    return []
