"""The shapes of the models, and the folder that both sides read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from xformer.interop.huggingface.folder import save_huggingface
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.storage.files import atomic_write
from xformer.tokenizer import Tokenizer

from . import ShapeName
from .tokenizer_json import tokenizer_json

MAX_LENGTH = 512
"""Longest text, in tokens."""

_SIZES: dict[ShapeName, dict[str, int]] = {
    "tiny": {"d_model": 64, "n_layers": 1, "n_heads": 2, "d_ff": 128},
    "small": {"d_model": 256, "n_layers": 2, "n_heads": 4, "d_ff": 576},
    "minilm": {"d_model": 384, "n_layers": 6, "n_heads": 12, "d_ff": 1536},
}


def write_model(folder: Path, shape: ShapeName, tokenizer: Tokenizer) -> None:
    """Write a sentence-transformers model with random weights, and the tokenizer in our own format.

    Args:
        folder: gets `model.safetensors`, `tokenizer.json`, `tokenizer.model` …
        shape: of the model.
        tokenizer: of both sides.
    """
    torch.manual_seed(0)
    sizes = _SIZES[shape]
    encoder = Encoder(ModelConfig.bert(vocab_size=tokenizer.vocab_size, max_length=MAX_LENGTH, **sizes))
    save_huggingface(folder, encoder)
    tokenizer.save(folder / "tokenizer.model")
    kinds = ("Transformer", "Pooling", "Normalize")
    paths = ("", "1_Pooling", "2_Normalize")
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    files: dict[str, Any] = {
        "tokenizer.json": tokenizer_json(tokenizer),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
            "model_max_length": MAX_LENGTH,
            "model_input_names": ["input_ids", "attention_mask"],
        },
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": MAX_LENGTH, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": sizes["d_model"],
            "pooling_mode_mean_tokens": True,
            "pooling_mode_cls_token": False,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    }
    (folder / "2_Normalize").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with atomic_write(folder / name) as file:
            json.dump(content, file)
