"""An imported run gives its folder back: the files as they came, and the run's weights in their names."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from xformer.errors import InputError
from xformer.finetuning.load import open_finetuned
from xformer.interop.huggingface.folder import convert, read_config, read_weights
from xformer.interop.huggingface.library_heads import Unit, take_head, their_head_names
from xformer.interop.huggingface.weights import to_their_names
from xformer.pretraining.pretrained import open_pretrained
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.imported import ImportedConfig, SourceConfig
from xformer.runs.kind import IMPORTED, task_of
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write
from xformer.tokenizer.interface import TextTokenizer


def give_back(run: RunDirectory, folder: Path, progress: Progress) -> tuple[str, ...]:
    """Write the folder of an imported run; before it is put in place, its weights are read back.

    Args:
        run: the run.
        folder: to write; must be missing or empty.
        progress: says what is done.

    Returns:
        The names of the classes of transformers that its settings name.

    Raises:
        InputError: the run is damaged, or what was read back is not what the run has.
    """
    opened = _open(run)
    source = opened.source
    with atomic_folder(folder) as scratch:
        shutil.copytree(run.original, scratch, dirs_exist_ok=True)
        inner = scratch / source.encoder
        inner.mkdir(exist_ok=True)
        for name, content in opened.tokenizer.files().items():
            with atomic_write(inner / name, "wb") as file:
                file.write(content)
        progress.say("write the weights")
        with atomic_write(inner / "model.safetensors", "wb") as file:
            file.write(save(_weights(run, opened), metadata={"format": "pt"}))
        _require_same(inner, opened)
        named = read_config(inner).get("architectures") or []
    return tuple(map(str, named))


@dataclass(frozen=True)
class _Opened:
    """An imported run: where it comes from, and its weights by our names; a classifier's head apart.

    Attributes:
        source: where it comes from.
        tokenizer: of the model.
        ours: weights of the encoder and the masked-LM head.
        unit: what a classifier gives labels; None for other models.
        head: weights of a classifier's head.
    """

    source: SourceConfig
    tokenizer: TextTokenizer
    ours: dict[str, Tensor]
    unit: Unit | None = None
    head: dict[str, Tensor] = field(default_factory=dict)


def _open(run: RunDirectory) -> _Opened:
    if task_of(run) == IMPORTED:
        opened = open_pretrained(run.path)
        source = cast(ImportedConfig, opened.config).source
        heads = {"head.": opened.network.masked_lm} if source.masked_lm else {}
        modules = {"encoder.": opened.network.encoder} | heads
        return _Opened(source, opened.tokenizer, _named(modules))
    tuned = open_finetuned(run.path)
    assert tuned.config.source is not None
    unit: Unit = "words" if tuned.config.classifier.example == "words" else "text"
    encoder, head = _named({"encoder.": tuned.model.encoder}), _named({"": tuned.model.head})
    return _Opened(tuned.config.source, tuned.tokenizer, encoder, unit, head)


def _named(modules: Mapping[str, torch.nn.Module]) -> dict[str, Tensor]:
    return {
        f"{prefix}{name}": value.detach()
        for prefix, module in modules.items()
        for name, value in module.state_dict().items()
    }


def _weights(run: RunDirectory, opened: _Opened) -> dict[str, Tensor]:
    """All weights by the names that they came with, in the precision that they came in."""
    source = opened.source
    theirs = to_their_names(source.family, opened.ours, bare=source.bare)
    if opened.unit is not None:
        theirs |= their_head_names(source.family, opened.unit, opened.head)
    dtype = getattr(torch, source.dtype)
    left = load_file(run.left_weights) if run.left_weights.is_file() else {}
    return {name: value.to(dtype).contiguous() for name, value in theirs.items()} | left


def _require_same(folder: Path, opened: _Opened) -> None:
    source, weights = opened.source, read_weights(folder)
    dtype = getattr(torch, source.dtype)
    head: dict[str, Tensor] = {}
    if opened.unit is not None:
        head, weights = take_head(source.family, opened.unit, weights)
    found = convert(read_config(folder), weights)
    again = head | {f"encoder.{name}": value for name, value in found.encoder.state_dict().items()}
    if found.head is not None:
        again |= {f"head.{name}": value for name, value in found.head.state_dict().items()}
    for name, value in (opened.ours | opened.head).items():
        if name not in again or not torch.equal(again[name], value.to(dtype)):
            raise InputError(f"{folder}: {name}: what was written is not what the run has; nothing was kept")
