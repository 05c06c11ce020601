"""Conversion of models from and to Hugging Face: ModernBERT, BERT, DistilBERT and XLM-R.

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
    family_of_fields,
    special_ids,
)
from xformer.interop.huggingface.weights import from_their_names, their_name, to_their_names
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.families import Family, family_of
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
        left: weights of the source that we compute nothing with, by their names, such as BERT's pooler.
        bare: whether the names of the source are those of a model without a head.
    """

    config: ModelConfig
    encoder: Encoder
    head: MaskedLMHead | None
    special_ids: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[str, Tensor] = field(default_factory=dict)
    bare: bool = False


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
        fields, weights = read_config(Path(source)), read_weights(Path(source))
    return convert(fields, weights)


def convert(fields: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Pretrained:
    """A model from the content of its files.

    Args:
        fields: of `config.json`.
        weights: by their names; their memory is used.

    Raises:
        InputError: a setting is not supported, or weights are missing, unknown or of other shapes.
    """
    config, family = config_from_huggingface(fields), family_of_fields(fields)
    found = from_their_names(family, weights, tied=config.tie_embeddings)
    encoder, head = _blank(config, len(weights))
    has_head = any(name.startswith("head.") for name in found.ours)
    for module, prefix in ((encoder, "encoder."), (head, "head."))[: 1 + has_head]:
        state = {name.removeprefix(prefix): w for name, w in found.ours.items() if name.startswith(prefix)}
        _require_fitting(module, state, prefix, family, found.bare)
        module.load_state_dict(state, assign=True)
        module.requires_grad_(True)
    return Pretrained(
        config,
        encoder.eval(),
        head.eval() if has_head else None,
        special_ids(fields),
        found.left,
        found.bare,
    )


def _blank(config: ModelConfig, n_weights: int) -> tuple[Encoder, MaskedLMHead]:
    """Modules without values; sizes that no file could hold are refused before anything is made of them."""
    if config.n_layers > n_weights:
        raise InputError(
            f"num_hidden_layers: expected at most {n_weights}, as there are so many weights, got"
            f" {config.n_layers}"
        )
    try:
        with torch.device("meta"):
            return Encoder(config), MaskedLMHead(config)
    except RuntimeError as error:  # a product of sizes that is no size
        raise InputError(f"config.json: expected sizes of a model, got larger ones: {error}") from error


def _require_fitting(
    module: torch.nn.Module, state: Mapping[str, Tensor], prefix: str, family: Family, bare: bool
) -> None:
    """Check that weights are those of a module; errors have the names that they have in the files."""
    wanted, wrong = module.state_dict(), []
    for name in sorted(wanted.keys() | state.keys()):
        theirs = their_name(family, f"{prefix}{name}", bare=bare)
        if name not in state:
            wrong.append(f"{theirs} is missing")
        elif name not in wanted:
            wrong.append(f"{theirs} is not a weight of a model with these settings")
        elif state[name].shape != wanted[name].shape:
            shapes = tuple(state[name].shape), tuple(wanted[name].shape)
            joined = ", with keys and values below it," if family != "modernbert" and "Wqkv" in name else ""
            wrong.append(f"{theirs}{joined} is {shapes[0]}, expected {shapes[1]}")
        elif not state[name].is_floating_point():
            wrong.append(f"{theirs} is {state[name].dtype}, expected floating-point numbers")
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InputError(f"weights: {'; '.join(wrong[:3])}{more}")


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
    # Version 4 names tied weights by the ends of their names.
    tied = tuple(getattr(model, "_tied_weights_keys", None) or ())
    missing = [name for name in missing if not name.endswith(tied) and not name.startswith("pooler.")]
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


def read_config(folder: Path) -> dict[str, Any]:
    """The fields of `config.json`.

    Raises:
        InputError: it is missing or broken.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: expected a folder with config.json and model.safetensors")
    return read_json_object(path)


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        InputError: it holds something else.
    """
    fields = read_json(path)
    if not isinstance(fields, dict):
        raise InputError(f"{path}: expected a JSON object, got {type(fields).__name__}")
    return fields


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: it is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: expected JSON; {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON: {error}") from error


def weight_files(folder: Path) -> list[Path]:
    """The files with the weights of a folder.

    Raises:
        InputError: there are none, or `model.safetensors.index.json` is broken or names files elsewhere.
    """
    index = folder / "model.safetensors.index.json"
    names = {"model.safetensors"}
    if index.is_file():
        places = read_json_object(index).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise InputError(f"{index}: weight_map: expected the file of each weight, got {places!r}")
        names = set()
        for weight, name in places.items():
            if not isinstance(name, str) or Path(name).name != name or name in (".", ".."):
                raise InputError(f"{index}: {weight}: expected the name of a file beside it, got {name!r}")
            names.add(name)
    for path in (found := [folder / name for name in sorted(names)]):
        if not path.is_file():
            pickled = next((one.name for one in _pickled(folder)), None)
            raise InputError(
                f"{path}: expected weights in this file"
                + (
                    f"; pickled ones ({pickled}) are not read, since they can run code. transformers converts"
                    " them: AutoModel.from_pretrained(…).save_pretrained(…)"
                    if pickled
                    else ""
                )
            )
    return found


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All weights of a folder, by name.

    Raises:
        InputError: as `weight_files`, or a file is not safetensors.
    """
    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            weights |= load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path}: expected safetensors: {error}") from error
    return weights


def _pickled(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in (".bin", ".pt", ".pth", ".ckpt"))
