"""Small folders of transformers and sentence-transformers, with tokenizers of each kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from xformer.interop.huggingface.folder import save_huggingface
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.heads import MaskedLMHead

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "dog",
    "cat",
    "sees",
    "the",
    "house",
    "##s",
    "katze",
    ".",
]
WORDS += list("abcdefghijklmnopqrstuvwxyz") + [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
SIZES: dict[str, Any] = {"d_model": 16, "n_heads": 2, "d_ff": 20, "n_layers": 2, "max_length": 32}
Make = Callable[..., Path]


def wordpiece(folder: Path, length: int | None = 32) -> None:
    """Write the tokenizer of a small BERT."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.add_special_tokens(WORDS[:5])
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.decoder = decoders.WordPiece()
    made.enable_truncation(7)  # as published files often have it; who encodes says where to cut
    made.enable_padding(length=7)
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": length or 10**30}
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    write(
        folder / "tokenizer_config.json", settings | {f"{kind}_token": name for kind, name in names.items()}
    )


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def bert_folder(tmp_path: Path) -> Make:
    """Makes a folder with a small BERT, of another name each time."""

    def make(
        name: str = "bert", *, head: bool = False, dtype: torch.dtype = torch.float32, **settings: Any
    ) -> Path:
        torch.manual_seed(0)
        config = ModelConfig.bert(vocab_size=len(WORDS), **SIZES | settings)
        encoder, masked_lm = Encoder(config), MaskedLMHead(config)
        with torch.no_grad():
            for parameter in (*encoder.parameters(), *masked_lm.parameters()):
                parameter.add_(torch.randn_like(parameter) * 0.2)
        folder = tmp_path / name
        ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "mask_token_id": 4}
        save_huggingface(folder, encoder.to(dtype), masked_lm.to(dtype) if head else None, fields=ids)
        wordpiece(folder)
        return folder

    return make


@pytest.fixture
def sentence_folder(bert_folder: Make) -> Make:
    """Makes a folder of sentence-transformers with a small BERT."""

    def make(
        name: str = "sentences",
        *,
        pooling: str = "mean_tokens",
        normalise: bool = True,
        max_length: int | None = 12,
        inside: str = "",
        **settings: Any,
    ) -> Path:
        folder = bert_folder(name, **settings) if not inside else bert_folder(f"{name}/{inside}", **settings)
        folder = folder.parent if inside else folder
        kinds = [("Transformer", inside), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
        modules = [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (kind, path) in enumerate(kinds[: 3 if normalise else 2])
        ]
        write(folder / "modules.json", modules)
        if max_length is not None:
            write(
                folder / inside / "sentence_bert_config.json",
                {"max_seq_length": max_length, "do_lower_case": False},
            )
        modes = {
            f"pooling_mode_{mode}": mode == pooling for mode in ("cls_token", "mean_tokens", "max_tokens")
        }
        write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 16, **modes})
        (folder / "2_Normalize").mkdir(exist_ok=True)
        return folder

    return make
