"""Files that are not tokenizers of this package are refused; covers xformer.tokenizer.proto, too."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer

from xformer.tokenizer import Tokenizer, TokenizerError


def foreign_model(sentences: list[tuple[str, str]], **settings: Any) -> bytes:
    """A model as SentencePiece makes it, with our ids unless told otherwise."""
    recipe: dict[str, Any] = {
        "vocab_size": 1200,
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "bos_id": 0,
        "pad_id": 1,
        "eos_id": 2,
        "unk_id": 3,
        "control_symbols": "<mask>",
        "minloglevel": 2,
    }
    buffer = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([text for _, text in sentences]), model_writer=buffer, **(recipe | settings)
    )
    return buffer.getvalue()


def test_a_foreign_model_made_alike_is_welcome(sentences: list[tuple[str, str]]) -> None:
    tokenizer = Tokenizer(foreign_model(sentences))
    assert tokenizer.decode(tokenizer.encode("The cat \u2581")) == "The cat \u2581"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"bos_id": 1, "pad_id": 0}, "its id 0 is '<pad>' instead of '<s>'"),
        ({"bos_id": 1, "pad_id": -1, "unk_id": 0}, "its id 0 is '<unk>' instead of '<s>'"),
        ({"control_symbols": ""}, "its id 4 is '<0x00>' instead of '<mask>'"),
        ({"control_symbols": "", "user_defined_symbols": "<mask>"}, "'<mask>' can be matched by text"),
        ({"byte_fallback": False}, "is not the byte piece"),
        ({"normalization_rule_name": "nmt_nfkc"}, "normalisation 'nmt_nfkc'"),
        ({"normalization_rule_name": "nfkc"}, "it rewrites text"),
        ({"remove_extra_whitespaces": True}, "it rewrites text"),
        ({"treat_whitespace_as_suffix": True}, "no piece for a space|it rewrites text"),
        ({"add_dummy_prefix": False}, "space prefix"),
        ({"model_type": "char", "vocab_size": 600, "hard_vocab_limit": False}, "a char model"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_foreign_models_are_refused(
    sentences: list[tuple[str, str]], settings: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "foreign.model"
    path.write_bytes(foreign_model(sentences, **settings))
    with pytest.raises(TokenizerError, match=complaint) as caught:
        Tokenizer.load(path)
    assert str(path) in str(caught.value)
    assert "expected a SentencePiece model written by train_tokenizer" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04 a zip file", b"\x00" * 64, b"text\n" * 100])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.model"
    path.write_bytes(content)
    with pytest.raises(TokenizerError, match=r"wrong\.model: expected a SentencePiece model"):
        Tokenizer.load(path)


@given(content=st.binary(max_size=200))
def test_noise_is_refused(content: bytes) -> None:
    with pytest.raises(TokenizerError, match="expected a SentencePiece model"):
        Tokenizer(content)


def test_a_damaged_model_is_refused(unigram: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match="expected a SentencePiece model"):
        Tokenizer(unigram.to_bytes()[:-40])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"absent\.model: expected a tokenizer model; No such file"):
        Tokenizer.load(tmp_path / "absent.model")
    with pytest.raises(TokenizerError, match="Is a directory"):
        Tokenizer.load(tmp_path)
