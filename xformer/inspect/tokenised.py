"""A text cut into tokens, with where each token lies in it.

Shapes: n tokens of a text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xformer.errors import InputError
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.special import MASK_ID, SPECIAL_IDS, SPECIAL_PIECES


@dataclass(frozen=True)
class TokenisedText:
    """A text and its tokens.

    Attributes:
        text: as it was given.
        ids: (n,) int64 token ids.
        pieces: the n tokens as the tokenizer writes them.
        spans: begin and end (exclusive) of each token in the characters of `text`; empty for tokens that no
            character gave, such as `[CLS]`.
        special: whether each token is a special one, such as `<s>` or `<mask>`.
        words: the number of each token's word, from 0; -1 for special tokens.
    """

    text: str
    ids: NDArray[np.int64]
    pieces: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    special: tuple[bool, ...]
    words: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.pieces)

    def with_ids(self, ids: ArrayLike, pieces: tuple[str, ...] | None = None) -> TokenisedText:
        """The same text with other tokens in the same places, for example some of them hidden.

        Args:
            ids: (n,).
            pieces: how they are written; None keeps those of this text.

        Raises:
            InputError: there are more or fewer ids, or pieces, than tokens, or the ids are no whole numbers.
        """
        if np.shape(ids) != self.ids.shape:
            raise InputError(f"ids: expected {len(self)} token ids, got an array of shape {np.shape(ids)}")
        given = np.asarray(ids)
        if given.size and given.dtype.kind not in "iu":
            raise InputError(f"ids: expected whole numbers, got {given.dtype}")
        written = self.pieces if pieces is None else tuple(pieces)
        if len(written) != len(self):
            raise InputError(f"pieces: expected {len(self)}, got {len(written)}")
        return replace(self, ids=given.astype(np.int64), pieces=written)


Tokenise = Callable[[str], TokenisedText]


@dataclass(frozen=True)
class TextTokens:
    """How a model's texts become tokens.

    Attributes:
        tokenise: one text to its tokens.
        piece: a token id to how the tokenizer writes it.
        vocab_size: V of the tokenizer.
        special_ids: of the special tokens.
        mask_id: of the token that hides another; None if there is none.
    """

    tokenise: Tokenise
    piece: Callable[[int], str]
    vocab_size: int
    special_ids: frozenset[int]
    mask_id: int | None


def tokens_of_run(tokenizer: Tokenizer) -> TextTokens:
    """The tokens of one of our own tokenizers; `<mask>` in a text is one token, as in `Model.fill_mask`."""
    starts = tokenizer.starts_word()

    def tokenise(text: str) -> TokenisedText:
        masked = SPECIAL_PIECES[MASK_ID] in text
        encode = tokenizer.encode_masked_with_offsets if masked else tokenizer.encode_with_offsets
        ids, offsets = encode(text)
        special = [int(i) in SPECIAL_IDS for i in ids]
        # The first token of a text, or behind a mask, begins a word whatever it is.
        begins = [bool(starts[i]) or k == 0 or special[k - 1] for k, i in enumerate(ids)]
        return TokenisedText(
            text,
            ids.astype(np.int64),
            tuple(tokenizer.piece(int(i)) for i in ids),
            tuple(_without_space(text, int(a), int(b)) for a, b in offsets),
            tuple(special),
            _numbered(begins, special),
        )

    return TextTokens(tokenise, tokenizer.piece, tokenizer.vocab_size, SPECIAL_IDS, MASK_ID)


def tokens_of_huggingface(folder: Path) -> TextTokens:
    """The tokens of a Hugging Face folder's `tokenizer.json`, with the special tokens that its model expects.

    Raises:
        InputError: the file is missing or broken, or the package `tokenizers` is not installed.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"{folder}: expected tokenizer.json beside the weights; `transformers` writes one")
    try:
        import tokenizers
    except ImportError as error:
        raise InputError("tokenizers: this package is needed; pip install 'xformer[hf]'") from error
    try:
        fast = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the package raises bare Exceptions
        raise InputError(f"{path}: expected a tokenizer of `tokenizers`: {error}") from error
    fast.no_padding()
    fast.no_truncation()
    added = fast.get_added_tokens_decoder()
    special_ids = frozenset(i for i, token in added.items() if token.special)

    def tokenise(text: str) -> TokenisedText:
        found = fast.encode(text)
        special = [
            bool(flag) or i in special_ids
            for flag, i in zip(found.special_tokens_mask, found.ids, strict=True)
        ]
        words = [
            (-1 if own else -2) if word is None else word
            for word, own in zip(found.word_ids, special, strict=True)
        ]
        begins = [k == 0 or words[k] != words[k - 1] for k in range(len(words))]
        return TokenisedText(
            text,
            np.array(found.ids, dtype=np.int64),
            tuple(found.tokens),
            tuple(_without_space(text, a, b) for a, b in found.offsets),
            tuple(special),
            _numbered(begins, special),
        )

    def piece(i: int) -> str:
        return fast.id_to_token(i) or f"<{i}>"

    return TextTokens(tokenise, piece, fast.get_vocab_size(), special_ids, _mask_id(folder, fast))


def _mask_id(folder: Path, fast: Any) -> int | None:
    """The id of the mask: by `tokenizer_config.json` or `special_tokens_map.json`, or the usual names."""
    names: list[str] = []
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / file).is_file():
            try:
                given = json.loads((folder / file).read_text(encoding="utf-8")).get("mask_token")
            except (ValueError, AttributeError) as error:
                raise InputError(f"{folder / file}: expected a JSON object: {error}") from error
            names += [given["content"] if isinstance(given, dict) else given] if given else []
    ids = [fast.token_to_id(name) for name in (*names, "[MASK]", "<mask>")]
    return next((i for i in ids if i is not None), None)


def _without_space(text: str, begin: int, end: int) -> tuple[int, int]:
    """A token's span without the spaces in front, which belong to no word."""
    while begin < end and text[begin].isspace():
        begin += 1
    return begin, end


def _numbered(begins: list[bool], special: list[bool]) -> tuple[int, ...]:
    """The number of each token's word; special tokens are in none."""
    words, number = [], -1
    for begin, own in zip(begins, special, strict=True):
        number += begin and not own
        words.append(-1 if own else max(number, 0))
    return tuple(words)
