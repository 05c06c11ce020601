"""Our tokenizer as `tokenizer.json` and `tokenizer_config.json`, with the same ids.

The library `tokenizers` reads a SentencePiece model nearly as we do. What is done so that ids are the same:

- Spaces stay spaces, in the text and in the vocabulary. A U+2581 in the text then has no piece, and becomes
  the bytes that we give it.
- Special and byte pieces have a score that no text is cut for, so `</s>` or `<0x0A>` in a text is characters.
- `<mask>` is found after the space in front of the text was added, and takes one space before it along, as in
  `Tokenizer.encode_masked`.
- `transformers` finds each special token that it knows in any text, so it knows two: the mask, and padding
  under a name that holds a noncharacter (U+FDD0), which no text should have. Training had no `<s>`.

Shapes: V vocabulary size.
"""

from __future__ import annotations

from typing import Any

from xformer.tokenizer import Tokenizer
from xformer.tokenizer.special import BYTE_COUNT, FIRST_BYTE_ID, MASK_ID, PAD_ID, SPECIAL_PIECES, UNK_ID

MASK = SPECIAL_PIECES[MASK_ID]
PADDING = "<pad\ufdd0>"
"""The name of the padding token in an exported folder; text that holds it gets other ids than ours."""

_NEVER = -1000.0
"""Score of pieces that no text is cut for: texts of a few characters have far better cuts."""


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of `tokenizer.json`, for the library `tokenizers`."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            special_token(PAD_ID, PADDING, normalized=False),
            special_token(MASK_ID, MASK, normalized=True),
        ],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(tokenizer)},
        "pre_tokenizer": _unknown_letters_apart(tokenizer),
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": _unigram(tokenizer) if tokenizer.model == "unigram" else _bpe(tokenizer),
    }


def tokenizer_config(max_length: int) -> dict[str, Any]:
    """The content of `tokenizer_config.json`.

    Args:
        max_length: longest sequence in tokens, at which `transformers` cuts where it is told to.
    """
    return {
        # Others, for BERT and XLM-R, would take the vocabulary alone and build the rest anew.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "pad_token": PADDING,
        "mask_token": MASK,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }


def special_token(number: int, content: str, *, normalized: bool) -> dict[str, Any]:
    """A row of `added_tokens`.

    Args:
        number: its id.
        content: its name.
        normalized: whether it is looked for after the text was normalised, by its normalised name.
    """
    flags = {
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": normalized,
        "special": True,
    }
    return {"id": number, "content": content, **flags}


def unicode_form(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """The normalizer of the tokenizer's Unicode form; none for `identity`."""
    known = {"identity": [], "nfc": [{"type": "NFC"}], "nfkc": [{"type": "NFKC"}]}
    return known[tokenizer.normalization]


def _normalizers(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """The Unicode form, a space in front, and no space before a mask."""
    return [
        *unicode_form(tokenizer),
        # A text that begins with a mask after a space has no piece before the mask.
        {"type": "Replace", "pattern": {"Regex": rf"\A {MASK}"}, "content": MASK},
        {"type": "Prepend", "prepend": " "},
        {"type": "Replace", "pattern": {"String": f" {MASK}"}, "content": MASK},
    ]


def _unknown_letters_apart(tokenizer: Tokenizer) -> dict[str, Any] | None:
    """Cut at the letters of special and byte pieces that have no piece of their own.

    Such a letter is a cut in any case. But as a part of `<0x0A>` it would make that piece the best one.
    """
    known = set(_spelled(tokenizer))
    letters = {letter for number in range(FIRST_BYTE_ID + BYTE_COUNT) for letter in tokenizer.piece(number)}
    unknown = sorted(letters - known)
    if not unknown or tokenizer.model == "bpe":
        return None
    pattern = {"Regex": "|".join(rf"\x{{{ord(letter):x}}}" for letter in unknown)}
    return {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}


def _spelled(tokenizer: Tokenizer) -> list[str]:
    """The vocabulary (V,), with spaces for U+2581 in the learnt pieces, and the other name for padding."""
    learnt = range(FIRST_BYTE_ID + BYTE_COUNT, tokenizer.vocab_size)
    fixed = [tokenizer.piece(number) for number in range(learnt.start)]
    fixed[PAD_ID] = PADDING
    return fixed + [tokenizer.piece(number).replace("\u2581", " ") for number in learnt]


def _unigram(tokenizer: Tokenizer) -> dict[str, Any]:
    scores = tokenizer.piece_scores().tolist()
    scores[: FIRST_BYTE_ID + BYTE_COUNT] = [_NEVER] * (FIRST_BYTE_ID + BYTE_COUNT)
    vocabulary = [list(pair) for pair in zip(_spelled(tokenizer), scores, strict=True)]
    return {"type": "Unigram", "unk_id": UNK_ID, "vocab": vocabulary, "byte_fallback": True}


def _bpe(tokenizer: Tokenizer) -> dict[str, Any]:
    """The merges are all pairs of pieces that make a piece, in the order of that piece's rank."""
    vocabulary = {piece: number for number, piece in enumerate(_spelled(tokenizer))}
    scores, first = tokenizer.piece_scores(), FIRST_BYTE_ID + BYTE_COUNT
    learnt = [(piece, number) for piece, number in vocabulary.items() if number >= first]
    merges = [
        [piece[:at], piece[at:]]
        for piece, number in sorted(learnt, key=lambda pair: (-scores[pair[1]], pair[1]))
        for at in range(1, len(piece))
        if vocabulary.get(piece[:at], 0) >= first and vocabulary.get(piece[at:], 0) >= first
    ]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": SPECIAL_PIECES[UNK_ID],
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": vocabulary,
        "merges": merges,
    }
