"""An imported run gives its folder back: the files as they came, and the run's weights in their names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from xformer.errors import InputError
from xformer.interop.huggingface.folder import from_huggingface, read_config
from xformer.interop.huggingface.weights import to_their_names
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.pretrained import open_pretrained
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.imported import ImportedConfig, SourceConfig
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write


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
    opened = open_pretrained(run.path)
    source = cast(ImportedConfig, opened.config).source
    with atomic_folder(folder) as scratch:
        shutil.copytree(run.original, scratch, dirs_exist_ok=True)
        inner = scratch / source.encoder
        inner.mkdir(exist_ok=True)
        for name, content in opened.tokenizer.files().items():
            with atomic_write(inner / name, "wb") as file:
                file.write(content)
        progress.say("write the weights")
        with atomic_write(inner / "model.safetensors", "wb") as file:
            file.write(save(_weights(run, source, opened.network), metadata={"format": "pt"}))
        _require_same(inner, source, opened.network)
        named = read_config(inner).get("architectures") or []
    return tuple(map(str, named))


def _weights(run: RunDirectory, source: SourceConfig, network: MultilingualModel) -> dict[str, Tensor]:
    """All weights by the names that they came with, in the precision that they came in."""
    theirs = to_their_names(source.family, _ours(source, network), bare=source.bare)
    dtype = getattr(torch, source.dtype)
    left = load_file(run.left_weights) if run.left_weights.is_file() else {}
    return {name: value.to(dtype).contiguous() for name, value in theirs.items()} | left


def _ours(source: SourceConfig, network: MultilingualModel) -> dict[str, Tensor]:
    modules = {"encoder.": network.encoder} | ({"head.": network.masked_lm} if source.masked_lm else {})
    return {
        f"{prefix}{name}": value.detach()
        for prefix, module in modules.items()
        for name, value in module.state_dict().items()
    }


def _require_same(folder: Path, source: SourceConfig, network: MultilingualModel) -> None:
    found, dtype = from_huggingface(folder), getattr(torch, source.dtype)
    again = {f"encoder.{name}": value for name, value in found.encoder.state_dict().items()}
    if found.head is not None:
        again |= {f"head.{name}": value for name, value in found.head.state_dict().items()}
    for name, value in _ours(source, network).items():
        if name not in again or not torch.equal(again[name], value.to(dtype)):
            raise InputError(f"{folder}: {name}: what was written is not what the run has; nothing was kept")
