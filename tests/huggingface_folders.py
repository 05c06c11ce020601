"""Small folders of transformers and sentence-transformers; as a command with a folder, writes one there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from xformer.interop.huggingface.folder import save_huggingface
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.heads import MaskedLMHead

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "dog", "cat", "sees", "the", "house", "##s", "katze", ".", *LETTERS]
WORDS += [f"##{letter}" for letter in LETTERS]
SIZES: dict[str, Any] = {"d_model": 16, "n_heads": 2, "d_ff": 20, "n_layers": 2, "max_length": 32}

CLASSIFIERS = ("Bert", "DistilBert", "Roberta", "ModernBert")
"""Architectures that `write_classifier` knows."""


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_wordpiece(folder: Path) -> None:
    """The tokenizer of a small BERT."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.add_special_tokens(SPECIAL)
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    around = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=around)
    made.decoder = decoders.WordPiece()
    made.enable_truncation(7)  # as published files often have it; who encodes says where to cut
    made.enable_padding(length=7)
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    names = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 32}
    settings["model_input_names"] = ["input_ids", "attention_mask"]
    write_json(folder / "tokenizer_config.json", settings | names)


def write_bert(
    folder: Path, *, head: bool = False, dtype: torch.dtype = torch.float32, **settings: Any
) -> Path:
    """A small BERT with random weights; without segments, a DistilBERT."""
    torch.manual_seed(0)
    config = ModelConfig.bert(**{"vocab_size": len(WORDS)} | SIZES | settings)
    encoder, masked_lm = Encoder(config), MaskedLMHead(config)
    with torch.no_grad():
        for parameter in (*encoder.parameters(), *masked_lm.parameters()):
            parameter.add_(torch.randn_like(parameter) * 0.2)
    ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "mask_token_id": 4}
    save_huggingface(folder, encoder.to(dtype), masked_lm.to(dtype) if head else None, fields=ids)
    write_wordpiece(folder)
    return folder


def write_sentence_model(
    folder: Path,
    *,
    pooling: str = "mean_tokens",
    normalise: bool = True,
    max_length: int | None = 12,
    inside: str = "",
    **settings: Any,
) -> Path:
    """A small model of sentence-transformers.

    Args:
        folder: where.
        pooling: `mean_tokens` or `cls_token`.
        normalise: whether its last module scales vectors to length 1.
        max_length: of a text, in tokens; None to leave it to the model.
        inside: folder of the encoder in it.
        settings: of the encoder.
    """
    write_bert(folder / inside, **settings)
    kinds = [("Transformer", inside), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(kinds[: 3 if normalise else 2])
    ]
    write_json(folder / "modules.json", modules)
    if max_length is not None:
        limits = {"max_seq_length": max_length, "do_lower_case": False}
        write_json(folder / inside / "sentence_bert_config.json", limits)
    modes = {f"pooling_mode_{mode}": mode == pooling for mode in ("cls_token", "mean_tokens", "max_tokens")}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 16, **modes})
    (folder / "2_Normalize").mkdir(exist_ok=True)
    return folder


def write_classifier(folder: Path, family: str, end: str, **fields: Any) -> Path:
    """A small classifier with random weights, by transformers: `family` and `end` name its class."""
    import transformers

    labels = {"id2label": {0: "no", 1: "yes", 2: "maybe"}, "label2id": {"no": 0, "yes": 1, "maybe": 2}}
    sizes: dict[str, Any] = {"vocab_size": len(WORDS), "pad_token_id": 0, "max_position_embeddings": 32}
    if family == "DistilBert":
        sizes |= {"dim": 16, "n_heads": 2, "hidden_dim": 20, "n_layers": 2}
    else:
        sizes |= {
            "hidden_size": 16,
            "num_attention_heads": 2,
            "intermediate_size": 20,
            "num_hidden_layers": 2,
        }
    if family == "Roberta":
        sizes |= {"max_position_embeddings": 33, "type_vocab_size": 1}
    if family == "ModernBert":
        sizes |= {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
        sizes |= {"local_attention": 4, "classifier_pooling": "mean"}
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**sizes | labels | fields)
    model = getattr(transformers, family + end)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    write_wordpiece(folder)
    return folder


if __name__ == "__main__":
    write_sentence_model(Path(sys.argv[1]), max_length=32)
