"""Our tokenizer as `tokenizer.json`: the same ids as ours, in `tokenizers` and through transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.interop.export.fuzz import fuzzed_lines
from xformer.interop.export.ids import IdComparison
from xformer.interop.huggingface.tokenizer import PADDING, tokenizer_config, tokenizer_json
from xformer.tokenizer import Tokenizer, TokenizerOptions, train_tokenizer

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")

WORDS = "the dog sees a house <b> and buys 0x12 apples; der Hund kauft ein Haus für 3 €, η γάτα βλέπει"
LITERALS = [
    "<mask>",
    "</s>",
    "<s>",
    "<pad>",
    "<unk>",
    "<0x0A>",
    "\u2581",
    " ",
    "  ",
    "\x00",
    "\t",
    "\n",
    "🫠",
]
ODD = [
    "",
    " ",
    "   ",
    "a  b",
    " a",
    "\u2581",
    "a\u2581b",
    "\u2581 a",
    "</s>",
    "a<s>b",
    "<pad>",
    "<unk>",
    "<0x0A>",
    "a\x00b\x07\r\n\t",
    "🫠🦖 ꙮ",
    "<mask>",
    " <mask>",
    "  <mask>",
    "<mask> <mask>",
    "the <mask> sees",
    "dog<mask>house",
    "a\n<mask>\u2581",
]


def trained(**options: Any) -> Tokenizer:
    texts = [("en", " ".join(WORDS.split()[begin:])) for begin in range(12)] * 4
    return train_tokenizer(texts, TokenizerOptions(vocabulary_size=310, threads=1, **options))


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return trained(model=request.param)


@pytest.fixture(scope="module")
def theirs(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    fast = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json(tokenizer)))
    return lambda text: list(fast.encode(text).ids)


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_odd_texts_have_our_ids(tokenizer: Tokenizer, theirs: Callable[[str], list[int]], text: str) -> None:
    assert theirs(text) == tokenizer.encode_masked(text).tolist()


@given(
    parts=st.lists(st.one_of(st.sampled_from(LITERALS), st.sampled_from(WORDS.split()), st.text(max_size=4)))
)
def test_any_text_has_our_ids(
    tokenizer: Tokenizer, theirs: Callable[[str], list[int]], parts: list[str]
) -> None:
    text = "".join(parts)
    if PADDING not in text and tokenizer.model == "unigram":
        assert theirs(text) == tokenizer.encode_masked(text).tolist()


def test_fuzzed_lines_have_our_ids(tokenizer: Tokenizer, theirs: Callable[[str], list[int]]) -> None:
    lines = list(fuzzed_lines(1, 300, [WORDS]))
    found = IdComparison(tokenizer)
    found.add(lines, [theirs(line) for line in lines])
    assert not found.ties


@given(letter=st.sampled_from("abdeghosuγβκ"), times=st.integers(1, 400))
def test_runs_of_one_letter_have_our_ids(
    tokenizer: Tokenizer, theirs: Callable[[str], list[int]], letter: str, times: int
) -> None:
    """All their cuts into the same pieces are equally probable."""
    assert theirs(letter * times) == tokenizer.encode(letter * times).tolist()


def test_a_letter_without_a_piece_does_not_let_a_byte_piece_match() -> None:
    texts = [("en", "the dog sees a house")] * 40
    tokenizer = train_tokenizer(texts, TokenizerOptions(vocabulary_size=272, threads=1))
    fast = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json(tokenizer)))
    for text in ("<0x0A>", "a<0xE2>b", "<s>", "</s> dog"):
        assert fast.encode(text).ids == tokenizer.encode(text).tolist()


@pytest.mark.parametrize("form", ["nfc", "nfkc"])
def test_normalised_text_has_our_ids(form: str) -> None:
    tokenizer = trained(normalization=form)
    fast = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json(tokenizer)))
    for text in ("fu\u0308r", "ﬁsh ① ｄｏｇ", "γα\u0301τα", "the <mask> sees"):
        assert fast.encode(text).ids == tokenizer.encode_masked(text).tolist()


def test_decoding_gives_the_text(tokenizer: Tokenizer) -> None:
    fast = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json(tokenizer)))
    for text in ("the dog", " a  b ", "a\u2581b 🫠\n"):
        assert fast.decode(fast.encode(text).ids) == text


def test_transformers_has_the_same_ids_and_knows_two_special_tokens(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer_json(tokenizer)), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(64)), encoding="utf-8")
    # For these architectures it would rebuild the tokenizer, were its class not named.
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    fast = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert [fast(text)["input_ids"] for text in ODD] == [tokenizer.encode_masked(t).tolist() for t in ODD]
    assert (fast.pad_token_id, fast.mask_token_id, fast.bos_token, fast.sep_token) == (1, 4, None, None)
    assert fast.model_max_length == 64
    assert len(fast("dog " * 200, truncation=True)["input_ids"]) == 64
