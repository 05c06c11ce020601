"""A run that was fine-tuned from an imported model, as a classifier of its own architecture.

Its head is that which transformers has in models of this architecture (`classifier.head`), so its weights are
written as they are; only the last layer is divided by the run's temperature, so that probabilities are those
of `xformer classify`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from xformer.errors import InputError
from xformer.finetuning.kinds import inputs_of
from xformer.finetuning.load import FinetunedRun, open_finetuned
from xformer.finetuning.predict import logits_of
from xformer.interop.export.fuzz import fuzzed_lines
from xformer.interop.export.source import first_blocks
from xformer.interop.huggingface.config import config_to_huggingface
from xformer.interop.huggingface.folder import read_config
from xformer.interop.huggingface.library_heads import Labels, Unit, label_fields, their_head_names
from xformer.interop.huggingface.weights import to_their_names
from xformer.model.families import Family
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.tokenizer.interface import MASK

_TEXTS, _LARGEST_ERROR = 64, 1e-4
"""Random texts whose logits are compared; largest error, as a share of the largest logit."""


@dataclass(frozen=True)
class HeadComparison:
    """What transformers gives of the folder, beside what the run gives.

    Attributes:
        version: of transformers.
        texts: random ones, whose logits were compared.
        same_ids: how many of them its tokenizer cuts in the same way.
        logits_error: largest difference of logits, as a share of the largest.
    """

    version: str
    texts: int
    same_ids: int
    logits_error: float


def write_classifier(run: RunDirectory, folder: Path) -> tuple[str, ...]:
    """Write the folder.

    Args:
        run: fine-tuned, with the head of a library.
        folder: exists.

    Returns:
        The name of the class of transformers.

    Raises:
        InputError: the settings of the imported model are gone.
    """
    opened = open_finetuned(run.path)
    config, family = opened.config, _family(opened)
    encoder, labels = first_blocks(opened.model.encoder, config.layers), _labels(opened)
    fields = read_config(run.original) | label_fields(family, labels)
    depth = "n_layers" if family == "distilbert" else "num_hidden_layers"
    written = config_to_huggingface(encoder.config)
    fields |= {name: written[name] for name in (depth, "layer_types") if name in written and name in fields}
    if family == "modernbert":
        fields["classifier_pooling"] = "cls" if opened.model.pooling.kind == "first" else "mean"
        if config.classifier.head == "modernbert-identity":
            fields["classifier_activation"] = "linear"
    fields["dtype"] = fields["torch_dtype"] = "float32"
    ours = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    head = {name: value.detach() for name, value in opened.model.head.state_dict().items()}
    for name in ("out.weight", "out.bias"):
        head[name] = head[name] / opened.temperature
    weights = to_their_names(family, ours, bare=False) | their_head_names(family, labels.unit, head)
    for name, content in opened.tokenizer.files().items():
        with atomic_write(folder / name, "wb") as file:
            file.write(content)
    _limit_length(folder / "tokenizer_config.json", opened)
    for path in run.original.iterdir():
        if path.name.upper().startswith("LICENSE"):
            with atomic_write(folder / path.name, "wb") as file:
                file.write(path.read_bytes())
    with atomic_write(folder / "model.safetensors", "wb") as file:
        file.write(save({n: x.contiguous() for n, x in weights.items()}, metadata={"format": "pt"}))
    _write_json(folder / "config.json", fields)
    return tuple(fields["architectures"])


def max_length_of(opened: FinetunedRun) -> int:
    """Tokens after which a text is cut."""
    return min(opened.config.classifier.max_tokens, opened.config.base.max_length)


def compare_classifier(run: RunDirectory, folder: Path, progress: Progress) -> HeadComparison:
    """Compare the logits that transformers computes of a folder with those of the run, on random texts.

    Raises:
        InputError: they differ by more than rounding, or transformers is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise InputError("transformers: not installed; pip install 'xformer[hf]', or --no-compare") from None
    opened = open_finetuned(run.path)
    loaders = {
        "text": transformers.AutoModelForSequenceClassification,
        "words": transformers.AutoModelForTokenClassification,
    }
    theirs = loaders[_unit(opened)].from_pretrained(folder).eval()
    cutter = transformers.AutoTokenizer.from_pretrained(folder)
    texts = _texts(opened)
    progress("compare outputs", 0, len(texts))
    found = cutter(texts, verbose=False)["input_ids"]
    rows = opened.tokenizer.sequences(texts)[0]
    same = sum(row.tolist() == list(other) for row, other in zip(rows, found, strict=True))
    error = _error(opened, theirs, texts)
    progress("compare outputs", len(texts), len(texts))
    if not error <= _LARGEST_ERROR:
        raise InputError(
            f"logits of the exported model differ by {error:.1e} of the largest, expected at most"
            f" {_LARGEST_ERROR:.0e}. Nothing was written"
        )
    return HeadComparison(str(transformers.__version__), len(texts), same, error)


def _texts(opened: FinetunedRun) -> list[str]:
    """Random texts that are not cut, with one space between words."""
    lines = (" ".join(line.split()) for line in fuzzed_lines(0, 2 * _TEXTS))
    some = [line for line in lines if line and MASK not in line]
    rows, _ = opened.tokenizer.sequences(some)
    longest = max_length_of(opened)
    return [line for line, row in zip(some, rows, strict=True) if len(row) <= longest][:_TEXTS]


@torch.no_grad()
def _error(opened: FinetunedRun, theirs: Any, texts: Sequence[str]) -> float:
    """The largest difference of logits, as a share of the largest; both read the same ids."""
    words = _unit(opened) == "words"
    inputs: Any = inputs_of(
        [line.split() if words else line for line in texts], opened.config, opened.tokenizer
    )
    ours = logits_of(opened.model, inputs, torch.device("cpu")) / opened.temperature
    tokens = inputs.texts if words else inputs
    first = np.split(inputs.first, np.cumsum(inputs.units)[:-1]) if words else []
    found: list[Tensor] = []
    for number, row in enumerate(np.split(tokens.ids, np.cumsum(tokens.lengths)[:-1])):
        ids = torch.from_numpy(row.astype(np.int64))[None]
        logits: Tensor = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        found.append(logits[0, np.maximum(first[number], 0)] if words else logits)
    without = torch.from_numpy(inputs.first < 0) if words else torch.zeros(len(ours), dtype=torch.bool)
    difference = (torch.cat(found) - ours).abs().amax(dim=1).masked_fill(without, 0)
    return float(difference.max() / ours.abs().max())


def _limit_length(path: Path, opened: FinetunedRun) -> None:
    fields = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    _write_json(path, fields | {"model_max_length": max_length_of(opened)})


def _labels(opened: FinetunedRun) -> Labels:
    classifier = opened.config.classifier
    return Labels(_unit(opened), classifier.labels, classifier.multi_label)


def _unit(opened: FinetunedRun) -> Unit:
    return "words" if opened.config.classifier.example == "words" else "text"


def _family(opened: FinetunedRun) -> Family:
    family = opened.config.base.family
    if family == "own":
        raise InputError(f"{opened.run.path}: expected a run that was fine-tuned from an imported model")
    if not (opened.run.original / "config.json").is_file():
        raise InputError(
            f"{opened.run.original / 'config.json'}: missing; the settings of the imported model"
        )
    return family


def _write_json(path: Path, content: object) -> None:
    with atomic_write(path) as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.write("\n")
