"""The files with which sentence-transformers makes our sentence vectors from an encoder's last states.

The mean of the tokens is taken over all coordinates; a projection, whose rows are those of the identity,
keeps the first D of them (the mean of some coordinates is those coordinates of the mean); then the vector is
scaled to unit length.

Shapes: C d_model, D width of a sentence's vector.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from xformer.model.config import ModelConfig
from xformer.storage.files import atomic_write

_PACKAGE = "sentence_transformers.models"


def write_sentence_modules(folder: Path, config: ModelConfig, encoder: str, max_length: int) -> None:
    """Write `modules.json` and what it names, but for the encoder.

    Args:
        folder: of the model.
        config: the model's settings.
        encoder: the folder inside it where the encoder's files lie; empty for `folder` itself.
        max_length: longest sequence in tokens; longer ones are cut.
    """
    modules = [("Transformer", encoder), ("Pooling", "1_Pooling")]
    _write(
        folder / encoder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False}
    )
    _write(folder / "1_Pooling" / "config.json", _pooling(config.d_model))
    if config.pooled_dim < config.d_model:
        modules.append(("Dense", "2_Dense"))
        _write(folder / "2_Dense" / "config.json", _projection(config))
        weight = torch.eye(config.pooled_dim, config.d_model)
        with atomic_write(folder / "2_Dense" / "model.safetensors", "wb") as file:
            file.write(save({"linear.weight": weight}, metadata={"format": "pt"}))
    modules.append(("Normalize", f"{len(modules)}_Normalize"))
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for number, (kind, path) in enumerate(modules)
    ]
    _write(folder / "modules.json", listed)
    settings: dict[str, Any] = {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    _write(folder / "config_sentence_transformers.json", {"__version__": {}, **settings})


def _pooling(width: int) -> dict[str, Any]:
    modes = ("cls_token", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    return {
        "word_embedding_dimension": width,
        "pooling_mode_mean_tokens": True,
        **{f"pooling_mode_{mode}": False for mode in modes},
        "include_prompt": True,
    }


def _projection(config: ModelConfig) -> dict[str, Any]:
    return {
        "in_features": config.d_model,
        "out_features": config.pooled_dim,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }


def _write(path: Path, content: object) -> None:
    with atomic_write(path) as file:
        json.dump(content, file, indent=2)
        file.write("\n")
