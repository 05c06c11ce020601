"""The pieces of a vocabulary, as tables indexed by id.

Shapes: V vocabulary size.
"""

from __future__ import annotations

import unicodedata
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sentencepiece import SentencePieceProcessor

from .special import BYTE_COUNT, FIRST_BYTE_ID, SPECIAL_IDS, SPECIAL_PIECES, UNK_ID

# Scripts written without spaces between words, as ranges of code points (Unicode blocks).
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x109F),  # Tibetan, Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, Khmer symbols
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x2E80, 0x312F),  # CJK radicals and punctuation, kana, Bopomofo
    (0x3190, 0x9FFF),  # Kanbun, CJK extensions, ideographs
    (0xA000, 0xA4CF),  # Yi
    (0xA980, 0xA9FF),  # Javanese, Myanmar extended
    (0xAA60, 0xAADF),  # Myanmar extended, Tai Viet
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0xFF66, 0xFF9F),  # half-width kana
    (0x1AFF0, 0x1B16F),  # kana extensions
    (0x20000, 0x3FFFF),  # ideographs of the supplementary planes
)


def is_unspaced(character: str) -> bool:
    """Whether a character belongs to a script that is written without spaces between words."""
    code = ord(character)
    return code >= 0x0E00 and any(low <= code <= high for low, high in _UNSPACED)


class PieceTable:
    """Pieces by id.

    Attributes:
        text: the bytes of text of each piece; empty for special pieces.
        scores: log probability (unigram) or the negative of the merge rank (BPE), `(V,)`.
        byte_lengths: `(V,)` int64, lengths of `text`.
        is_byte: `(V,)` bool.
    """

    def __init__(self, processor: SentencePieceProcessor) -> None:
        """Read the tables of a processor.

        Raises:
            ValueError: the special or byte pieces do not have their fixed ids.
        """
        size = processor.get_piece_size()
        if size <= FIRST_BYTE_ID + BYTE_COUNT:
            raise ValueError(f"it has only {size} pieces")
        for i, piece in enumerate(SPECIAL_PIECES):
            if processor.id_to_piece(i) != piece:
                raise ValueError(f"its id {i} is {processor.id_to_piece(i)!r} instead of {piece!r}")
            if not (processor.is_unknown(i) if i == UNK_ID else processor.is_control(i)):
                raise ValueError(f"its piece {piece!r} can be matched by text")
        for byte in (0, BYTE_COUNT - 1):
            if processor.id_to_piece(FIRST_BYTE_ID + byte) != f"<0x{byte:02X}>":
                raise ValueError(f"its id {FIRST_BYTE_ID + byte} is not the byte piece <0x{byte:02X}>")
        first = FIRST_BYTE_ID + BYTE_COUNT
        special: list[bytes] = [b""] * len(SPECIAL_IDS)
        single = [bytes([byte]) for byte in range(BYTE_COUNT)]
        learnt = [processor.id_to_piece(i).replace("\u2581", " ").encode() for i in range(first, size)]
        if b" " not in learnt:
            raise ValueError("it has no piece for a space")
        self.text = special + single + learnt
        self.scores = np.array([processor.get_score(i) for i in range(size)])
        self.byte_lengths = np.array([len(text) for text in self.text], dtype=np.int64)
        self.is_byte = np.zeros(size, dtype=np.bool_)
        self.is_byte[FIRST_BYTE_ID:first] = True

    @cached_property
    def learnt(self) -> dict[str, int]:
        """Ids of the learnt pieces by their text."""
        first = FIRST_BYTE_ID + BYTE_COUNT
        return {text.decode(): first + i for i, text in enumerate(self.text[first:])}

    @cached_property
    def longest(self) -> int:
        """Characters of the longest learnt piece."""
        return max(map(len, self.learnt))

    @cached_property
    def starts_word(self) -> NDArray[np.bool_]:
        """`(V,)`: see `Tokenizer.starts_word`."""
        starts = np.zeros(len(self.text), dtype=np.bool_)
        starts[list(SPECIAL_IDS)] = True
        for byte in range(BYTE_COUNT):
            starts[FIRST_BYTE_ID + byte] = _byte_starts_word(byte)
        for text, i in self.learnt.items():
            starts[i] = _character_starts_word(text[0])
        return starts


def _character_starts_word(character: str) -> bool:
    category = unicodedata.category(character)
    if category[0] == "M":  # a mark belongs to the letter before it, in every script
        return False
    return is_unspaced(character) or category[0] in "PSZ" or category == "Cc"


def _byte_starts_word(byte: int) -> bool:
    """True also for the lead bytes of U+3000 to U+9FFF and of the supplementary planes."""
    if byte < 0x80:
        return _character_starts_word(chr(byte))
    return 0xE3 <= byte <= 0xE9 or byte >= 0xF0
