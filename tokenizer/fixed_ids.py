"""What follows from our fixed special ids for those who use a model: nothing around a text, masks, fillings.

Shapes: V vocabulary size, n ids of one text.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from .interface import MASK, Ids, LocatedIds, TextTokenizer
from .special import BYTE_COUNT, FIRST_BYTE_ID, MASK_ID, PAD_ID, SPECIAL_IDS

_ASCII = 0x80


class FixedIdsTokenizer(TextTokenizer):
    """The part of `Tokenizer` that does not cut text."""

    @abstractmethod
    def encode_with_offsets(self, text: str) -> tuple[Ids, NDArray[np.int64]]:
        """Ids of one text, and the characters that each came from."""

    @abstractmethod
    def encode_masked_with_offsets(self, text: str) -> tuple[Ids, NDArray[np.int64]]:
        """The same of a text with masks."""

    @abstractmethod
    def starts_word(self) -> NDArray[np.bool_]:
        """Whether each piece begins a word, `(V,)`."""

    @property
    def prefix(self) -> tuple[int, ...]:
        """Nothing: training had no special tokens around a text."""
        return ()

    @property
    def suffix(self) -> tuple[int, ...]:
        """Nothing."""
        return ()

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text."""
        return SPECIAL_IDS

    @property
    def mask(self) -> str:
        """How a mask is written."""
        return MASK

    @property
    def pad_id(self) -> int:
        """`<pad>`."""
        return PAD_ID

    @property
    def mask_id(self) -> int:
        """The id that hides another."""
        return MASK_ID

    def locate(self, text: str) -> LocatedIds:
        """The ids of a text with masks, and where each lies; the first one begins a word whatever it is."""
        encode = self.encode_masked_with_offsets if MASK in text else self.encode_with_offsets
        ids, offsets = encode(text)
        begins = self.starts_word()[ids]
        special = np.isin(ids, list(SPECIAL_IDS))
        begins[:1] = True
        begins[1:] |= special[:-1]
        return LocatedIds(ids, offsets, begins)

    def fill(self, before: str, id: int, after: str) -> str:
        """A text with a piece for a mask, which takes the space in front of it along."""
        byte = id - FIRST_BYTE_ID
        written = chr(byte) if 0 <= byte < BYTE_COUNT else self.piece(id).replace("\u2581", " ")
        before = before.removesuffix(" ")
        # The space in front of a text's first piece is not part of the text.
        return f"{before}{written if before else written.removeprefix(' ')}{after}"

    def fillable(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The pieces (V,) that text can have; bytes that are a part of a character cannot be shown alone."""
        ids = np.arange(self.vocab_size)
        allowed = ids >= FIRST_BYTE_ID
        part = (ids >= FIRST_BYTE_ID + _ASCII) & (ids < FIRST_BYTE_ID + BYTE_COUNT)
        return allowed, allowed & ~part
