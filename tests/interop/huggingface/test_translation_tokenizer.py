"""The tokenizer of a translator: a tag, our ids of the text and the end, in `tokenizers` and transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.interop.huggingface.translation_tokenizer import (
    END,
    PAD,
    UNKNOWN,
    found_in_text,
    tag_of,
    translation_tokenizer_config,
    translation_tokenizer_json,
)
from xformer.tokenizer import Tokenizer, TokenizerOptions, train_tokenizer
from xformer.translation.encoded import Vocabulary

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")

WORDS = "the dog sees a house <b> and buys apples; der Hund kauft ein Haus für 3 €, η γάτα βλέπει"
TARGETS = ("de", "en", "pt-BR")
ODD = [
    "a",
    " a",
    "  a b ",
    "</s>",
    "a</s>b",
    "<unk>",
    "<mask>",
    "a <mask>",
    "<s>",
    "<0x0A>",
    "a\nb",
    "🫠",
    ">>de<",
]
LITERALS = [*ODD, *WORDS.split(), ">>", "<<", "\u2581", "\t"]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    texts = [("en", " ".join(WORDS.split()[begin:])) for begin in range(12)] * 4
    options = TokenizerOptions(vocabulary_size=305, threads=1, model=request.param)
    return train_tokenizer(texts, options)


@pytest.fixture(scope="module")
def theirs(tokenizer: Tokenizer) -> Any:
    return tokenizers.Tokenizer.from_str(json.dumps(translation_tokenizer_json(tokenizer, TARGETS)))


@pytest.mark.parametrize("target", TARGETS)
def test_odd_texts_have_our_ids(tokenizer: Tokenizer, theirs: Any, target: str) -> None:
    vocabulary = Vocabulary.of(tokenizer, TARGETS)
    for text in ODD:
        ids = tokenizer.encode(text)
        assert theirs.encode(f"{tag_of(target)} {text}").ids == vocabulary.source(ids, target), text
        assert theirs.encode(text).ids == [*ids, vocabulary.end], text


@settings(max_examples=60)
@given(parts=st.lists(st.one_of(st.sampled_from(LITERALS), st.text(max_size=4)), min_size=1))
def test_any_text_has_our_ids_and_comes_back(tokenizer: Tokenizer, theirs: Any, parts: list[str]) -> None:
    text = "".join(parts)
    # A blank text is not translated.
    if not text.strip() or any(name in text for name in found_in_text(TARGETS)):
        text = "the dog"
    ids = tokenizer.encode(text)
    found = theirs.encode(f">>en<< {text}").ids
    assert found == Vocabulary.of(tokenizer, TARGETS).source(ids, "en")
    assert theirs.decode(found, skip_special_tokens=True) == tokenizer.decode(ids)


def test_transformers_opens_it(tokenizer: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")
    files = {
        "tokenizer.json": translation_tokenizer_json(tokenizer, TARGETS),
        "tokenizer_config.json": translation_tokenizer_config(TARGETS, 12),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    opened = transformers.AutoTokenizer.from_pretrained(tmp_path)
    rows = tokenizer.vocab_size + len(TARGETS)
    assert (opened.pad_token_id, opened.eos_token_id, opened.unk_token_id) == (rows, 2, 3)
    assert (opened.pad_token, opened.eos_token, opened.unk_token) == (PAD, END, UNKNOWN)
    assert opened.convert_tokens_to_ids(">>pt-BR<<") == rows - 1
    # CTranslate2 takes names by id, and drops the last if it is `<pad>`.
    assert sorted(opened.get_vocab().values()) == list(range(rows + 1))
    batch = opened([">>de<< the dog", ">>en<< a"], padding=True)
    assert batch["input_ids"][0] == [rows - 3, *tokenizer.encode("the dog"), 2]
    assert batch["input_ids"][1][-1] == rows
    assert opened.batch_decode(batch["input_ids"], skip_special_tokens=True) == ["the dog", "a"]
    assert opened(text_target="ein Hund")["input_ids"] == [*tokenizer.encode("ein Hund"), 2]
    cut = opened(f">>de<< {'the dog ' * 20}", truncation=True)["input_ids"]
    assert (len(cut), cut[0], cut[-1]) == (12, rows - 3, 2)


def test_what_is_found_in_a_text_is_said(tokenizer: Tokenizer, theirs: Any) -> None:
    first = tokenizer.vocab_size
    for number, name in enumerate(found_in_text(TARGETS), first):
        assert number in theirs.encode(f">>de<< a {name} b").ids
        assert number not in theirs.encode(">>de<< a b").ids or number == first
