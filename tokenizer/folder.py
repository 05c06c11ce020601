"""The tokenizer of a Hugging Face folder, by the files that it has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .errors import TokenizerError
from .fast import JSON, FastTokenizer, read_settings
from .foreign_sentencepiece import ForeignSentencePiece
from .interface import TextTokenizer
from .wordpiece import VOCABULARY, wordpiece_json

_LIBRARIES = {"sentencepiece.bpe.model": "xlm-roberta", "spiece.model": "t5"}
"""Whose ids a SentencePiece model has, by its usual name."""

FILES = (
    JSON,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    VOCABULARY,
    "vocab.json",
    "merges.txt",
    *_LIBRARIES,
)
"""Names of the files of tokenizers."""

_CLASSES = {"xlm-roberta": ("XLMRobertaTokenizer", None), "t5": ("T5Tokenizer", "MT5Tokenizer")}
"""Classes of transformers whose ids are known; others have such files, too, with other ids."""


def open_folder(path: str | os.PathLike[str]) -> TextTokenizer:
    """The tokenizer of a folder: that of `tokenizer.json`, or else the one of its older files.

    Raises:
        TokenizerError: there is none that can be used, or a file is broken.
    """
    folder = Path(path)
    files = {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}
    if JSON in files:
        return FastTokenizer(files, source=str(folder))
    if VOCABULARY in files:
        made = wordpiece_json(files[VOCABULARY], read_settings(files, str(folder)), str(folder))
        return FastTokenizer(files, made, str(folder))
    for name, library in _LIBRARIES.items():
        if name in files:
            _require_class(library, read_settings(files, str(folder)), folder)
            return ForeignSentencePiece(files, name, library, str(folder))
    raise TokenizerError(
        f"{folder}: expected a tokenizer, as {JSON}; transformers writes one:"
        f" AutoTokenizer.from_pretrained(…).save_pretrained(…)"
    )


def _require_class(library: str, settings: dict[str, Any], folder: Path) -> None:
    named = settings.get("tokenizer_class")
    plain = named.removesuffix("Fast") if isinstance(named, str) else named
    if plain not in _CLASSES[library]:
        raise TokenizerError(
            f"{folder}: tokenizer_class: expected one of"
            f" {', '.join(one for one in _CLASSES[library] if one)} for a SentencePiece model without {JSON},"
            f" got {named!r}; transformers writes {JSON}: AutoTokenizer.from_pretrained(…).save_pretrained(…)"
        )
