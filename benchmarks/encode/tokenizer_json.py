"""A tokenizer of ours as the `tokenizer.json` of Hugging Face's `tokenizers`, for the peer.

Both segment with the same unigram model, so that both sides of the bench encode the same tokens. They differ
for text with U+2581 in it, for text that spells a special or a byte piece (`<0x41>`), and where two
segmentations have the same probability.
"""

from __future__ import annotations

from typing import Any

from xformer.errors import InputError
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.special import SPECIAL_PIECES, UNK_ID

_NEVER = -1000.0
"""The score of pieces that text must not match: special pieces, and byte pieces as text (`<0x41>`)."""


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The fields of `tokenizer.json`: the same pieces and ids, no special tokens around a text.

    Raises:
        InputError: the tokenizer is no unigram model.
    """
    if tokenizer.model != "unigram":
        raise InputError(
            f"tokenizer: expected a unigram model, which the peer can have too, got {tokenizer.model}"
        )
    scores = tokenizer.piece_scores()
    never = tokenizer.is_byte()
    never[: len(SPECIAL_PIECES)] = True
    vocabulary = [
        [tokenizer.piece(id), _NEVER if never[id] else float(scores[id])]
        for id in range(tokenizer.vocab_size)
    ]
    space = {"type": "Metaspace", "replacement": "\u2581", "split": True}
    steps: list[dict[str, Any]] = [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    ]
    if tokenizer.normalization != "identity":
        steps.insert(0, {"type": tokenizer.normalization.upper()})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": id, "content": piece, "special": True, "normalized": False,
                "single_word": False, "lstrip": False, "rstrip": False,
            }
            for id, piece in enumerate(SPECIAL_PIECES)
        ],
        "normalizer": {"type": "Sequence", "normalizers": steps},
        # Words are cut apart, so that the segmentation of each is found once and then remembered.
        "pre_tokenizer": space | {"prepend_scheme": "never"},
        "post_processor": None,
        "decoder": space | {"prepend_scheme": "always"},
        "model": {"type": "Unigram", "unk_id": UNK_ID, "byte_fallback": True, "vocab": vocabulary},
    }  # fmt: skip
