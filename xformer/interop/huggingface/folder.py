"""ModernBERT, BERT and XLM-R checkpoints of Hugging Face, in and out.

Folders hold `config.json` and `model.safetensors`; pickled weights are refused. Only `to_huggingface` needs
`transformers`, which is the extra `hf`.

Shapes: C d_model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from xformer.errors import InputError
from xformer.interop.huggingface.config import config_from_huggingface, config_to_huggingface, family_of
from xformer.interop.huggingface.weights import from_their_names, to_their_names
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.heads import MaskedLMHead
from xformer.storage.files import atomic_write


@dataclass(frozen=True)
class Pretrained:
    """A converted checkpoint, in evaluation mode.

    Attributes:
        config: its settings.
        encoder: the encoder.
        head: its masked-LM head, or None where the checkpoint has none.
    """

    config: ModelConfig
    encoder: Encoder
    head: MaskedLMHead | None


def from_huggingface(source: str | os.PathLike[str] | torch.nn.Module) -> Pretrained:
    """Read a ModernBERT, BERT or XLM-R model, with or without its masked-LM head.

    Args:
        source: a `transformers` model, or a folder with `config.json` and `model.safetensors` (or the parts
            that `model.safetensors.index.json` names).

    Raises:
        InputError: a file is missing or broken, a setting is not ours, or weights are missing or unknown.
    """
    if isinstance(source, torch.nn.Module):
        fields = source.config.to_dict()  # type: ignore[union-attr, operator]
        weights = {name: value.detach().clone() for name, value in source.state_dict().items()}
    else:
        fields, weights = _read_config(Path(source)), _read_weights(Path(source))
    config = config_from_huggingface(fields)
    ours = from_their_names(family_of(config), weights, tied=config.tie_embeddings)
    encoder_state = {
        name.removeprefix("encoder."): w for name, w in ours.items() if name.startswith("encoder.")
    }
    head_state = {name.removeprefix("head."): w for name, w in ours.items() if name.startswith("head.")}
    with torch.device("meta"):
        encoder, head = Encoder(config), MaskedLMHead(config)
    _load(encoder, encoder_state)
    if head_state:
        _load(head, head_state)
    return Pretrained(config, encoder.eval(), head.eval() if head_state else None)


def to_huggingface(
    encoder: Encoder, head: MaskedLMHead | None = None, *, fields: Mapping[str, Any] | None = None
) -> Any:
    """A `transformers` model with the same weights, in evaluation mode.

    Args:
        encoder: ours.
        head: its masked-LM head; without it the bare model is built.
        fields: settings of `config.json` to override, such as other special token ids.

    Returns:
        `ModernBertForMaskedLM`, `BertForMaskedLM`, `XLMRobertaForMaskedLM`, or the bare model.

    Raises:
        InputError: no architecture of theirs fits; the message names the field.
        ImportError: `transformers` is not installed.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

    settings = config_to_huggingface(encoder.config) | dict(fields or {})
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = AutoModel.from_config(config) if head is None else AutoModelForMaskedLM.from_config(config)
    model = model.to(encoder.token_embedding.dtype)
    weights = to_their_names(family_of(encoder.config), _our_weights(encoder, head), bare=head is None)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    # What we do not have: BERT's pooler, and second names of tied weights.
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
) -> None:
    """Write the `config.json` and `model.safetensors` of a folder that `transformers` can load.

    Args:
        folder: made if it is missing; files of these names in it are replaced.
        encoder: ours.
        head: its masked-LM head, if any.
        fields: settings of `config.json` to override, such as other special token ids.

    Raises:
        InputError: no architecture of theirs fits; the message names the field.
    """
    settings = config_to_huggingface(encoder.config) | dict(fields or {})
    settings["dtype"] = settings["torch_dtype"] = str(encoder.token_embedding.dtype).removeprefix("torch.")
    if head is None:
        settings["architectures"] = [settings["architectures"][0].replace("ForMaskedLM", "Model")]
    theirs = to_their_names(family_of(encoder.config), _our_weights(encoder, head), bare=head is None)
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


def _load(module: torch.nn.Module, state: dict[str, Tensor]) -> None:
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise InputError(f"weights: {error}") from error
