"""The special tokens and their ids, which never change: shards and checkpoints contain them."""

from __future__ import annotations

from typing import Final

BOS_ID: Final = 0
PAD_ID: Final = 1
EOS_ID: Final = 2
UNK_ID: Final = 3
MASK_ID: Final = 4

SPECIAL_PIECES: Final = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""Pieces in id order: `SPECIAL_PIECES[MASK_ID] == "<mask>"`."""

SPECIAL_IDS: Final = frozenset(range(len(SPECIAL_PIECES)))

FIRST_BYTE_ID: Final = len(SPECIAL_PIECES)
"""Id of the byte piece `<0x00>`; the ids of the 256 byte pieces are consecutive."""

BYTE_COUNT: Final = 256

SMALLEST_VOCABULARY: Final = FIRST_BYTE_ID + BYTE_COUNT + 1
"""Special pieces, byte pieces and one learnt piece."""
