"""`xformer import`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from xformer.finetuning.config import FinetuningConfig
    from xformer.interop.importing.folder import Imported
    from xformer.runs.imported import ImportedConfig

_POOLED = {
    "mean": "mean of the tokens",
    "first": "first token",
    "last": "last token",
    "max": "largest value of the tokens",
    "by_position": "mean of the tokens, later ones more",
    "root_length": "sum of the tokens by the root of their number",
}
_SHOWN = 10
"""Labels that are named."""


@dataclass(frozen=True)
class Import:
    """Make a run from a model of another library. What works on a run works on it.

    xformer import hf models/all-MiniLM-L6-v2 runs/minilm

    From the hub, or its local cache: xformer import hf google-bert/bert-base-multilingual-cased runs/mbert

    For `hf` the model is a folder of transformers or sentence-transformers, or an id of the hub: BERT,
    DistilBERT, RoBERTa, XLM-R or ModernBERT, with its tokenizer, pooling, normalisation and longest text.
    Weights are safetensors; pickled ones are not read, and no code of the folder is run. A setting that is
    not supported is refused by name, and then nothing is written. `xformer export hf` gives the folder back.
    A classifier of texts or of words (…ForSequenceClassification, …ForTokenClassification) becomes a run that
    `xformer classify` or `xformer tag` uses.
    """

    format: tyro.conf.Positional[Literal["hf"]]
    """`hf`: a folder of Hugging Face."""
    source: tyro.conf.Positional[str]
    """The folder, or an id of the hub."""
    run: tyro.conf.Positional[Path]
    """The run directory to write: new, or empty."""
    revision: str = "main"
    """Of an id: a branch, a tag or a commit."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""

    def run_command(self) -> int:
        """Import the model, say what it is, and return the exit status."""
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder

        check_output_folder(self.run, new=True)
        with Progress() as progress:
            from xformer.interop.importing.folder import import_huggingface

            done = import_huggingface(self.source, self.run, progress, revision=self.revision)
        if self.json:
            print(json.dumps(dataclasses.asdict(done), default=str, ensure_ascii=False))
        else:
            print(_said(done))
        return 0


def _said(done: Imported) -> str:
    from xformer.runs.imported import ImportedConfig

    config, model = done.config, done.config.model
    source = config.source
    assert source is not None
    lines = [
        f"{done.run}: {source.family}, {model.n_layers} blocks, width {model.d_model}, {model.rows:,} pieces,"
        f" {done.parameters:,} parameters"
    ]
    if isinstance(config, ImportedConfig):
        lines += _vectors(config)
        use = f"xformer encode {done.run} FILES --out vectors.npy"
    else:
        lines += _labels(config)
        use = f"xformer {'tag' if config.classifier.example == 'words' else 'classify'} {done.run} FILES"
    if done.left_out:
        lines.append(f"not read and left out: {', '.join(done.left_out)}")
    return "\n".join([*lines, f"use it: {use}"])


def _vectors(config: ImportedConfig) -> list[str]:
    model, vectors = config.model, config.vectors
    width = vectors.dense[-1].width if vectors.dense else model.pooled_dim
    layers = "".join(f", a layer of {dense.width} ({dense.activation})" for dense in vectors.dense)
    prompts = f", prompts {', '.join(vectors.prompts)}" if vectors.prompts else ""
    default = f" ({vectors.default_prompt} by default)" if vectors.default_prompt else ""
    return [
        f"sentence vectors: {width} coordinates, {_POOLED[vectors.pooling]}{layers}"
        f"{', length 1' if vectors.normalise else ''}{prompts}{default}; texts are cut after"
        f" {vectors.max_length} tokens",
        "masked-LM head: yes" if config.source.masked_lm else "masked-LM head: none, so it cannot fill masks",
    ]


def _labels(config: FinetuningConfig) -> list[str]:
    classifier = config.classifier
    unit = "word" if classifier.example == "words" else "text"
    names = ", ".join(classifier.labels[:_SHOWN]) + (", …" if len(classifier.labels) > _SHOWN else "")
    several = "several or none" if classifier.multi_label else "one"
    return [f"labels: {several} of {len(classifier.labels)} for each {unit}: {names}"]
