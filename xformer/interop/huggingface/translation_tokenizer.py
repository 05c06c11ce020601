"""The tokenizer of a translator as `tokenizer.json`: a tag in front of a text, the end behind it.

Marian's own tokenizer wants two SentencePiece files and a list of words, with `▁` for spaces. What is written
here is read by `PreTrainedTokenizerFast` and by `tokenizers` alone, and gives the ids of `Vocabulary.source`.

`transformers` finds each special token that it knows in any text. So those that no text should have are named
with a noncharacter (U+FDD0), and `</s>` in a text is characters. Tags have the names that people write. So
has padding, which CTranslate2 looks for by name.

Shapes: V rows of the embedding, tags among them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from xformer.interop.huggingface.tokenizer import special_token, tokenizer_json, unicode_form
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.special import EOS_ID, UNK_ID

PAD = "<pad>"
"""The name of row V, behind all others; where it is the last, CTranslate2 drops it, as it should."""
END, UNKNOWN = "</s\ufdd0>", "<unk\ufdd0>"
"""Names of `</s>` and `<unk>` in an exported folder."""


def tag_of(language: str) -> str:
    """What a source begins with that is to become a text in this language: `>>de<<`."""
    return f">>{language}<<"


def found_in_text(targets: Sequence[str]) -> tuple[str, ...]:
    """What a text has no ids of its own for: tags and `<pad>`, wherever they stand."""
    return (*map(tag_of, targets), PAD)


def translation_tokenizer_json(tokenizer: Tokenizer, targets: Sequence[str]) -> dict[str, Any]:
    """The content of `tokenizer.json`.

    Args:
        tokenizer: of the run.
        targets: languages that have a tag, in the order of their rows.
    """
    content, first = tokenizer_json(tokenizer), tokenizer.vocab_size
    _rename(content["model"], {EOS_ID: END, UNK_ID: UNKNOWN})
    tags = [special_token(first + row, tag_of(one), normalized=True) for row, one in enumerate(targets)]
    # The space behind a tag is then the one in front of the text.
    begins = "|".join(re.escape(tag_of(language)) for language in targets)
    return content | {
        "added_tokens": [
            special_token(EOS_ID, END, normalized=False),
            special_token(UNK_ID, UNKNOWN, normalized=False),
            *tags,
            special_token(first + len(targets), PAD, normalized=False),
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                *unicode_form(tokenizer),
                {"type": "Prepend", "prepend": " "},
                {"type": "Replace", "pattern": {"Regex": rf"\A (?={begins})"}, "content": ""},
            ],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_part("Sequence", "A"), _part("SpecialToken", END)],
            "pair": [_part("Sequence", "A"), _part("Sequence", "B"), _part("SpecialToken", END)],
            "special_tokens": {END: {"id": END, "ids": [EOS_ID], "tokens": [END]}},
        },
    }


def translation_tokenizer_config(targets: Sequence[str], max_length: int) -> dict[str, Any]:
    """The content of `tokenizer_config.json`.

    Args:
        targets: languages that have a tag.
        max_length: longest source in tokens, tag and end among them, at which `transformers` cuts where it is
            told to.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "pad_token": PAD,
        "eos_token": END,
        "unk_token": UNKNOWN,
        "additional_special_tokens": [tag_of(language) for language in targets],
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }


def _rename(model: dict[str, Any], names: dict[int, str]) -> None:
    """Give pieces other names, in a unigram's list or in BPE's table, in place."""
    if isinstance(model["vocab"], list):
        for number, name in names.items():
            model["vocab"][number][0] = name
        return
    renamed = {names.get(number, piece): number for piece, number in model["vocab"].items()}
    model |= {"vocab": renamed, "unk_token": names[UNK_ID]}


def _part(kind: str, name: str) -> dict[str, Any]:
    return {kind: {"id": name, "type_id": 0}}
