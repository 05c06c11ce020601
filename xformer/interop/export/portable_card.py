"""What the README of an exported network has in every format: what it is, outputs, limits, data, licences."""

from __future__ import annotations

import json
from collections.abc import Sequence

from xformer.data.manifest import Manifest
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.data_record import read_data_record
from xformer.interop.export.agreement import Agreement
from xformer.interop.export.portable import PortableRun
from xformer.interop.export.tokenizer_file import IdAgreement
from xformer.interop.network.outputs import Output
from xformer.runs.config import RunConfig
from xformer.runs.imported import ImportedConfig
from xformer.runs.model_card import data_tables, summary
from xformer.version import __version__

_SAID: dict[Output, str] = {
    "probabilities": "of the labels, calibrated as `xformer classify` gives them",
    "logits": "of the labels, divided by the temperature",
    "sentence_embedding": "the vector of each text; zero for a text without tokens",
    "last_hidden_state": "the state of each token after the last block; zero at padding",
}


def fields(source: PortableRun, library: str) -> str:
    """What a hub reads, in front of the card."""
    manifest = manifest_of(source)
    # The hub knows languages by their first part: sr-Latn is Serbian. `no` without quotes is a truth value.
    languages = sorted({tag.split("-")[0] for tag in manifest.languages}) if manifest else []
    lines = [f"library_name: {library}", f'tags: ["{library}", "multilingual", "xformer"]']
    lines += [f"language: {json.dumps(languages)}"] if languages else []
    return "\n".join(["---", *lines, "---\n"])


def what(source: PortableRun) -> str:
    """What the network is."""
    config, manifest = source.config, manifest_of(source)
    if isinstance(config, RunConfig) and manifest is not None:
        return summary(config, manifest)
    if isinstance(config, ImportedConfig):
        return f"`{config.source.name}`, imported and written by xformer {__version__}.\n"
    assert isinstance(config, FinetuningConfig)
    of = {"text": "texts", "pair": "pairs of texts", "words": "words"}[config.classifier.example]
    labels = ", ".join(f"`{label}`" for label in config.classifier.labels)
    return f"A classifier of {of}, fine-tuned with xformer {__version__}. Its labels: {labels}.\n"


def outputs(source: PortableRun) -> str:
    """A table of the outputs."""
    rows = [
        f"| `{name}` | {' × '.join(map(str, source.spec.shape(name)))} | {_SAID[name]} |"
        for name in source.spec.outputs
    ]
    inputs = ", ".join(f"`{name}`" for name in source.spec.inputs)
    return (
        f"Inputs, int64, any batch and any length up to {source.spec.config.max_length:,} tokens: {inputs}."
        " A mask is 1 at tokens and 0 at padding, which may stand behind the tokens or in front of them.\n\n"
        + "\n".join(["| output | axes | what it is |", "|---|---|---|", *rows])
        + "\n"
    )


def limits(source: PortableRun) -> str:
    """What is not the same as in xformer."""
    lines = [f"- Text after {source.max_length} tokens is cut off by the tokenizer."]
    if not source.tokenizer.prefix and not source.tokenizer.suffix:
        lines[0] += " In xformer a longer text is read in parts, and its vector is the mean of theirs."
    spec = source.spec
    if "sentence_embedding" in spec.outputs and spec.vector_layers < spec.depth:
        lines.append(
            f"- Vectors are taken after {spec.vector_layers} of {spec.n_layers} blocks. The others run for"
            " `last_hidden_state` alone: `--outputs sentence_embedding` leaves them out."
        )
    return "\n".join(lines) + "\n"


def compared(versions: dict[str, str], found: Agreement, ids: IdAgreement | None) -> list[str]:
    """Lines that say what was held beside the run, and how far apart it was."""
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    errors = ", ".join(f"{name} {error:.0e}" for name, error in found.errors.items())
    lines = [
        f"compared with the run, with {named}:",
        f"outputs of {found.sequences:,} sequences in {found.batches} batches, of 0 to {found.longest:,}"
        f" tokens: largest error, as a share of the largest value: {errors}",
    ]
    if ids is not None:
        ties = f"{ids.ties:,} differ, all of them ties of two cuts" if ids.ties else "all equal"
        lines.append(
            f"token ids of {ids.corpus_lines:,} lines of the corpus and {ids.fuzzed_lines:,} random ones in"
            f" {ids.scripts} blocks of Unicode: {ties}"
        )
    return lines


def data(source: PortableRun) -> str:
    """The data and its licences, as far as the run knows them."""
    if (manifest := manifest_of(source)) is not None:
        return data_tables(manifest)
    if isinstance(source.config, ImportedConfig):
        return f"The licence is that of `{source.config.source.name}`; ask there.\n"
    record = read_data_record(source.run)
    licence = record.licence if record is not None and record.licence else "not told; ask who trained it"
    base = source.config.base
    lines = [f"Licence of the labelled texts: {' '.join(licence.split())}."]
    if base.init == "pretrained":
        lines.append(f"It began from `{base.run}`: the licences of that run's data hold, too.")
    return " ".join(lines) + "\n"


def manifest_of(source: PortableRun) -> Manifest | None:
    """Of the corpus; None where the run has none."""
    return Manifest.read(source.run.path) if source.run.manifest.is_file() else None


def page(
    source: PortableRun, name: str, library: str, use: str, said: Sequence[str], more: Sequence[str] = ()
) -> str:
    """The README of a folder, as Markdown after the fields that a hub reads.

    Args:
        source: the run.
        name: of the folder.
        library: that runs it.
        use: lines of Python that run it.
        said: what was compared, `compared`.
        more: parts between the lines and what the outputs are.
    """
    return "\n".join(
        [
            fields(source, library),
            f"# {name}\n",
            what(source),
            "## Use\n",
            f"```python\n{use}```\n",
            *more,
            outputs(source),
            "## Compared\n",
            f"When it was written it was {said[0]}\n",
            *(f"- {line}" for line in said[1:]),
            "",
            "## Limits\n",
            limits(source),
            "## Data and licences\n",
            data(source),
        ]
    )
