"""A Hugging Face folder becomes a run, whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

import torch
from safetensors.torch import save_file
from torch import Tensor

from xformer.errors import InputError
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.model import FinetunedModel
from xformer.interop.huggingface.config import family_of_fields
from xformer.interop.huggingface.folder import Pretrained, convert, read_config, read_weights, weight_files
from xformer.interop.huggingface.library_heads import take_head, unit_of
from xformer.interop.importing.classifier import classifier_config, classifier_network
from xformer.interop.importing.find import find_folder
from xformer.interop.importing.sentence import SentenceModules, read_modules
from xformer.model.config import ModelConfig
from xformer.model.heads import MaskedLMHead
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.pretrained import projections_of
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState, save_weights
from xformer.runs.directory import RunDirectory
from xformer.runs.imported import ImportedConfig, ImportedDtype, SourceConfig, VectorsConfig
from xformer.runs.kind import CLASSIFICATION, IMPORTED, settle_task
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write, sha256_of
from xformer.storage.toml import save_toml
from xformer.tokenizer.errors import TokenizerError
from xformer.tokenizer.folder import FILES, open_folder
from xformer.tokenizer.interface import TextTokenizer

_KEPT = (".json", ".txt", ".md", ".model")
"""Ends of the names of files that travel with the model, beside licences and the weights of small modules."""


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes:
        run: its folder.
        config: its settings: of a classifier those of a run that was fine-tuned.
        parameters: number of parameters of the encoder and its head.
        left_out: files of the source that are not read and do not travel, such as pickled weights.
    """

    run: Path
    config: ImportedConfig | FinetuningConfig
    parameters: int
    left_out: tuple[str, ...]


def import_huggingface(
    source: str | os.PathLike[str], run: Path, progress: Progress, *, revision: str = "main"
) -> Imported:
    """Make a run from a folder of transformers or sentence-transformers.

    Args:
        source: the folder, or an id of the hub; see `find_folder`.
        run: the run's folder: new, or empty.
        progress: says what is done.
        revision: of an id.

    Raises:
        InputError: a file is missing or broken, or a setting or weight is not supported; it is named, and
            nothing is written.
    """
    folder = find_folder(source, revision, progress)
    modules = read_modules(folder) or SentenceModules(normalise=True)
    inner = folder / modules.encoder
    progress.say(f"read {inner}")
    fields, files = read_config(inner), weight_files(inner)
    unit, weights, head = unit_of(fields), read_weights(inner), None
    if unit is not None:
        head, weights = take_head(family_of_fields(fields), unit, weights)
    found = convert(fields, weights)
    _require_finite(inner, weights | (head or {}))
    tokenizer = _tokenizer(inner, found.config)
    origin = SourceConfig(
        name=os.fspath(source),
        family=family_of_fields(fields),
        dtype=_dtype(found, head or {}),
        sha256=hashlib.sha256("".join(map(sha256_of, files)).encode()).hexdigest(),
        encoder=modules.encoder,
        bare=found.bare,
        masked_lm=found.head is not None,
    )
    longest = _max_length(found, modules, tokenizer)
    config: ImportedConfig | FinetuningConfig
    network: MultilingualModel | FinetunedModel
    if unit is None or head is None:
        config = _settings(origin, found, modules, longest)
        network, task = _network(config, found, modules), IMPORTED
    else:
        config = classifier_config(origin, found.config, fields, unit, head, longest)
        network, task = classifier_network(config, found.encoder, head), CLASSIFICATION
    kept, left_out = _travelling(folder, inner, {path.name for path in files})
    with atomic_folder(run) as scratch:
        place = RunDirectory(scratch)
        settle_task(place, task)
        save_toml(place.config, config)
        for name, content in tokenizer.files().items():
            _write(place.tokenizer_folder / name, content)
        for path in kept:
            _write(place.original / path.relative_to(folder), path.read_bytes())
        if found.left:
            save_file({name: x.contiguous() for name, x in found.left.items()}, place.left_weights)
        progress.say("write the weights")
        save_weights(place.checkpoints, network, TrainingState())
    return Imported(run, config, sum(one.numel() for one in network.parameters()), tuple(sorted(left_out)))


def _require_finite(folder: Path, weights: Mapping[str, Tensor]) -> None:
    for name, value in weights.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"{folder}: weights: {name} has values that are not finite")


def _tokenizer(folder: Path, config: ModelConfig) -> TextTokenizer:
    try:
        tokenizer = open_folder(folder)
    except TokenizerError as error:
        raise InputError(str(error)) from error
    if tokenizer.vocab_size > config.rows:
        raise InputError(
            f"{folder}: its tokenizer has {tokenizer.vocab_size:,} pieces, the model {config.rows:,} rows"
        )
    return tokenizer


def _dtype(found: Pretrained, head: Mapping[str, Tensor]) -> ImportedDtype:
    """Of all weights; `float32` where they differ, which holds each of them exactly."""
    modules = [found.encoder, *([] if found.head is None else [found.head])]
    tensors = [*(x for module in modules for x in module.parameters()), *head.values()]
    names = {str(x.dtype).removeprefix("torch.") for x in tensors}
    if unknown := sorted(names - set(get_args(ImportedDtype))):
        raise InputError(f"weights: expected {', '.join(get_args(ImportedDtype))}, got {unknown[0]}")
    return cast(ImportedDtype, names.pop()) if len(names) == 1 else "float32"


def _settings(
    origin: SourceConfig, found: Pretrained, modules: SentenceModules, longest: int
) -> ImportedConfig:
    width = found.config.d_model
    for dense in modules.dense:
        if (before := dense.weights["weight"].shape[1]) != width:
            raise InputError(f"Dense: in_features: expected {width}, the width before it, got {before}")
        width = dense.config.width
    share = 1.0 if modules.width is None else modules.width / found.config.d_model
    vectors = VectorsConfig(
        modules.pooling,
        modules.normalise,
        longest,
        tuple(dense.config for dense in modules.dense),
        modules.prompts,
        modules.default_prompt,
    )
    return ImportedConfig(origin, replace(found.config, pooled_dim_fraction=share), vectors)


def _max_length(found: Pretrained, modules: SentenceModules, tokenizer: TextTokenizer) -> int:
    """What sentence-transformers cuts at; else the shorter of what tokenizer and model say."""
    longest = modules.max_length or tokenizer.max_length or found.config.max_length
    longest = min(longest, found.config.max_length)
    if longest <= len(tokenizer.prefix) + len(tokenizer.suffix):
        raise InputError(f"max_seq_length: expected room for a text, got {longest} tokens")
    return longest


def _network(config: ImportedConfig, found: Pretrained, modules: SentenceModules) -> MultilingualModel:
    """The model whose weights are saved, in float32."""
    with torch.device("meta"):
        network = MultilingualModel(config.model, config.vectors.pooling, projections_of(config))
    for layer, dense in zip(network.projections, modules.dense, strict=True):
        layer.load_state_dict(dense.weights, assign=True)
    network.encoder = found.encoder
    if isinstance(found.head, MaskedLMHead):
        network.masked_lm = found.head
    else:
        del network.masked_lm
    return network.float()


def _travelling(folder: Path, inner: Path, weights: set[str]) -> tuple[list[Path], list[str]]:
    """Files that travel with the model, and names of those that do not."""
    kept, left_out = [], []
    for path in _files(folder):
        own = path.parent == inner
        if own and (path.name in weights or path.name in FILES or path.name.endswith(".index.json")):
            continue
        # Weights of small modules; and those of a whole model beside the encoder of vectors inside.
        others = path.suffix == ".safetensors" and not own
        if path.suffix in _KEPT or others or path.name.upper().startswith("LICENSE"):
            kept.append(path)
        else:
            left_out.append(path.relative_to(folder).as_posix())
    return kept, left_out


def _files(folder: Path) -> Iterator[Path]:
    """Files of a folder and of those inside, hidden ones apart."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "wb") as file:
        file.write(content)
