"""BERT's older files: a vocabulary, one piece a line, and settings beside it, as `tokenizer.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .errors import TokenizerError

VOCABULARY = "vocab.txt"

_NAMES = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}


def wordpiece_json(vocabulary: bytes, settings: Mapping[str, Any], source: str) -> bytes:
    """The content of the `tokenizer.json` that means the same (Devlin et al. 2019; basic and WordPiece).

    Args:
        vocabulary: of `vocab.txt`.
        settings: of `tokenizer_config.json` and `special_tokens_map.json`: `do_lower_case`, `strip_accents`,
            `tokenize_chinese_chars`, and the names of special tokens.
        source: the folder's name in error messages.

    Raises:
        TokenizerError: the vocabulary is not UTF-8, or lacks a special token.
    """
    place = f"{source}/{VOCABULARY}" if source else VOCABULARY
    try:
        lines = vocabulary.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{place}: expected UTF-8: {error}") from None
    ids = {line.rstrip("\r"): number for number, line in enumerate(lines)}
    names = {kind: _name(settings.get(f"{kind}_token", usual)) for kind, usual in _NAMES.items()}
    for kind in ("unk", "sep", "cls"):
        if names[kind] not in ids:
            raise TokenizerError(f"{place}: expected the piece {names[kind]!r} ({kind}_token) on a line")
    special = sorted((ids[name], name) for name in names.values() if name in ids)
    template = [_token(names["cls"]), {"Sequence": {"id": "A", "type_id": 0}}, _token(names["sep"])]
    around = {
        names[kind]: {"id": names[kind], "ids": [ids[names[kind]]], "tokens": [names[kind]]}
        for kind in ("cls", "sep")
    }
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(number, name) for number, name in special],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": bool(settings.get("tokenize_chinese_chars", True)),
            "strip_accents": settings.get("strip_accents"),
            "lowercase": bool(settings.get("do_lower_case", True)),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": template,
            "pair": [*template, {"Sequence": {"id": "B", "type_id": 1}}, _token(names["sep"], 1)],
            "special_tokens": around,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": names["unk"],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }
    return json.dumps(content, ensure_ascii=False).encode()


def _name(given: Any) -> str:
    return str(given.get("content")) if isinstance(given, Mapping) else str(given)


def _token(name: str, kind: int = 0) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": kind}}


def _added(number: int, name: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": name, **flags}
