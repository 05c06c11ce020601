"""The tokenizer of a Hugging Face folder, by the files that it has."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import TokenizerError
from .fast import JSON, FastTokenizer
from .interface import TextTokenizer

FILES = (
    JSON,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
)
"""Names of the files of tokenizers."""


def open_folder(path: str | os.PathLike[str]) -> TextTokenizer:
    """The tokenizer of a folder: that of `tokenizer.json`, or else the one of its older files.

    Raises:
        TokenizerError: there is none that can be used, or a file is broken.
    """
    folder = Path(path)
    files = {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}
    if JSON in files:
        return FastTokenizer(files, source=str(folder))
    raise TokenizerError(
        f"{folder}: expected a tokenizer, as {JSON}; transformers writes one:"
        f" AutoTokenizer.from_pretrained(…).save_pretrained(…)"
    )
