"""Conversion of models from and to Hugging Face: ModernBERT, BERT and XLM-R.

A folder holds `config.json` and `model.safetensors`; pickled weights are refused. Only `to_huggingface` needs
`transformers` (extra `hf`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from xformer.errors import InputError
from xformer.interop.huggingface.config import (
    config_from_huggingface,
    config_to_huggingface,
    special_ids,
)
from xformer.interop.huggingface.weights import from_their_names, to_their_names
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.families import family_of
from xformer.model.heads import MaskedLMHead
from xformer.storage.files import atomic_write


@dataclass(frozen=True)
class Pretrained:
    """A converted model, in evaluation mode.

    Attributes:
        config: its settings.
        encoder: its encoder.
        head: its masked-LM head, or None if the source has none.
        special_ids: ids of its special tokens, as fields of `config.json`, for `save_huggingface`: they
            belong to the tokenizer that it was trained with.
    """

    config: ModelConfig
    encoder: Encoder
    head: MaskedLMHead | None
    special_ids: Mapping[str, int] = field(default_factory=dict)


def from_huggingface(source: str | os.PathLike[str] | torch.nn.Module) -> Pretrained:
    """Read a ModernBERT, BERT or XLM-R model, with or without its masked-LM head.

    Args:
        source: a `transformers` model, or a folder with `config.json` and `model.safetensors` (or the parts
            that `model.safetensors.index.json` names).

    Raises:
        InputError: a file is missing or broken, a setting is not supported, or weights are missing or
            unknown.
    """
    if isinstance(source, torch.nn.Module):
        fields = source.config.to_dict()  # type: ignore[union-attr, operator]
        weights = {name: value.detach().clone() for name, value in source.state_dict().items()}
    else:
        fields, weights = _read_config(Path(source)), _read_weights(Path(source))
    config = config_from_huggingface(fields)
    ours = from_their_names(family_of(config), weights, tied=config.tie_embeddings)
    with torch.device("meta"):
        encoder, head = Encoder(config), MaskedLMHead(config)
    has_head = any(name.startswith("head.") for name in ours)
    for module, prefix in ((encoder, "encoder."), (head, "head."))[: 1 + has_head]:
        state = {name.removeprefix(prefix): w for name, w in ours.items() if name.startswith(prefix)}
        try:
            module.load_state_dict(state, assign=True)
        except RuntimeError as error:
            raise InputError(f"weights: {error}") from error
    return Pretrained(config, encoder.eval(), head.eval() if has_head else None, special_ids(fields))


def to_huggingface(
    encoder: Encoder, head: MaskedLMHead | None = None, *, fields: Mapping[str, Any] | None = None
) -> Any:
    """A `transformers` model with the same weights, in evaluation mode.

    Args:
        encoder: the encoder.
        head: its masked-LM head; None for a model without a head.
        fields: settings of `config.json` to override, such as other special token ids.

    Returns:
        `ModernBertForMaskedLM`, `BertForMaskedLM`, `XLMRobertaForMaskedLM`, or the model without a
            head.

    Raises:
        InputError: no architecture of Hugging Face fits; the message names the setting.
        ImportError: `transformers` is not installed.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

    settings = config_to_huggingface(encoder.config) | dict(fields or {})
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = AutoModel.from_config(config) if head is None else AutoModelForMaskedLM.from_config(config)
    model = model.to(encoder.token_embedding.dtype)
    weights = to_their_names(family_of(encoder.config), _our_weights(encoder, head), bare=head is None)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    # Missing without harm: BERT's pooler, and the second names of tied weights.
    tied = getattr(model, "_tied_weights_keys", None) or {}
    missing = [name for name in missing if name not in tied and not name.startswith("pooler.")]
    if missing or unexpected:
        raise InputError(f"weights: {type(model).__name__} misses {missing} and does not know {unexpected}")
    return model.eval()


def save_huggingface(
    folder: str | os.PathLike[str],
    encoder: Encoder,
    head: MaskedLMHead | None = None,
    *,
    fields: Mapping[str, Any] | None = None,
    more: Mapping[str, Tensor] | None = None,
) -> None:
    """Write `config.json` and `model.safetensors` such that `transformers` can load the folder.

    Args:
        folder: made if it is missing; files of these names in it are replaced.
        encoder: the encoder.
        head: its masked-LM head; None for a model without a head.
        fields: settings of `config.json` to override, such as other special token ids.
        more: weights of another head, by their names.

    Raises:
        InputError: no architecture of Hugging Face fits; the message names the setting.
    """
    settings = config_to_huggingface(encoder.config)
    settings["dtype"] = settings["torch_dtype"] = str(encoder.token_embedding.dtype).removeprefix("torch.")
    if head is None:
        settings["architectures"] = [settings["architectures"][0].replace("ForMaskedLM", "Model")]
    settings |= dict(fields or {})
    bare = head is None and not more
    theirs = to_their_names(family_of(encoder.config), _our_weights(encoder, head), bare=bare) | dict(
        more or {}
    )
    weights = {name: value.cpu().contiguous() for name, value in theirs.items()}
    with atomic_write(Path(folder) / "model.safetensors", "wb") as file:
        file.write(save(weights, metadata={"format": "pt"}))
    with atomic_write(Path(folder) / "config.json") as file:
        json.dump(settings, file, indent=2, sort_keys=True)


def _our_weights(encoder: Encoder, head: MaskedLMHead | None) -> dict[str, Tensor]:
    weights = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    if head is not None:
        weights |= {f"head.{name}": value for name, value in head.state_dict().items()}
    return weights


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: expected a folder with config.json and model.safetensors")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{path}: expected a JSON object, got {type(fields).__name__}")
    return fields


def _read_weights(folder: Path) -> dict[str, Tensor]:
    index = folder / "model.safetensors.index.json"
    files = [folder / "model.safetensors"]
    if index.is_file():
        files = [
            folder / name for name in sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        ]
    weights: dict[str, Tensor] = {}
    for path in files:
        if not path.is_file():
            raise InputError(
                f"{path}: expected weights in this file; pickled ones (pytorch_model.bin) are not read"
            )
        try:
            weights |= load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path}: expected safetensors: {error}") from error
    return weights
