"""A text cut into tokens, with where each token lies in it.

Shapes: n tokens of a text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xformer.errors import InputError
from xformer.tokenizer.errors import TokenizerError
from xformer.tokenizer.folder import open_folder
from xformer.tokenizer.interface import TextTokenizer


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


def tokens_of(tokenizer: TextTokenizer) -> TextTokens:
    """The tokens of a model's tokenizer, with the special tokens that the model expects around a text.

    `<mask>` in a text is one token, as in `Model.fill_mask`.
    """
    special_ids = tokenizer.special_ids

    def tokenise(text: str) -> TokenisedText:
        found = tokenizer.locate(text)
        ids = found.ids.tolist()
        special = [i in special_ids for i in ids]
        return TokenisedText(
            text,
            found.ids.astype(np.int64),
            tuple(map(tokenizer.piece, ids)),
            tuple(_without_space(text, int(a), int(b)) for a, b in found.offsets),
            tuple(special),
            _numbered(found.begins_word.tolist(), special),
        )

    return TextTokens(tokenise, tokenizer.piece, tokenizer.vocab_size, special_ids, tokenizer.mask_id)


def tokens_of_huggingface(folder: Path) -> TextTokens:
    """The tokens of a Hugging Face folder.

    Raises:
        InputError: a file is missing or broken, or the package `tokenizers` is not installed.
    """
    try:
        return tokens_of(open_folder(folder))
    except TokenizerError as error:
        raise InputError(str(error)) from error


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
