"""The size of a vocabulary follows its text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xformer.tokenizer import (
    TokenizerError,
    TokenizerOptions,
    VocabularySizeError,
    fit_tokenizer,
    suitable_vocabulary,
    train_tokenizer,
)

Texts = list[tuple[str, str]]


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_a_size_that_the_text_cannot_fill_becomes_the_largest_that_it_can(
    sentences: Texts, model: Any, tmp_path: Path
) -> None:
    said: list[str] = []
    path = tmp_path / "fits.model"
    asked = TokenizerOptions(vocabulary_size=50_000, model=model)
    found = fit_tokenizer(sentences, asked, path, say=said.append)
    assert said[-1] == f"tokenizer: {found.vocab_size:,} pieces, the text can fill no more"
    # It is the one that this size gives by itself, and one piece more is too many.
    exact = TokenizerOptions(vocabulary_size=found.vocab_size, model=model)
    assert train_tokenizer(sentences, exact).fingerprint() == found.fingerprint()
    assert path.read_bytes() == found.to_bytes()
    with pytest.raises(VocabularySizeError):
        train_tokenizer(sentences, TokenizerOptions(vocabulary_size=found.vocab_size + 1, model=model))


def test_a_size_that_fits_is_kept(sentences: Texts) -> None:
    said: list[str] = []
    options = TokenizerOptions(vocabulary_size=720)
    found = fit_tokenizer(sentences, options, say=said.append)
    assert found.fingerprint() == train_tokenizer(sentences, options).fingerprint()
    assert not said


def test_an_open_size_has_room_for_the_characters(sentences: Texts) -> None:
    said: list[str] = []
    n_bytes = sum(len(text.encode()) for _, text in sentences)
    assert suitable_vocabulary(n_bytes) < 656  # what the characters need, see test_train.py
    found = fit_tokenizer(sentences, TokenizerOptions(), say=said.append)
    assert 656 < found.vocab_size <= 820
    assert said[0] == "tokenizer: 820 pieces, its characters need them"


def test_a_size_that_was_asked_for_is_not_made_larger(sentences: Texts) -> None:
    with pytest.raises(TokenizerError, match="300 cannot hold a piece for each frequent character"):
        fit_tokenizer(sentences, TokenizerOptions(vocabulary_size=300))


def test_an_open_size_grows_with_the_text() -> None:
    sizes = [suitable_vocabulary(n_bytes) for n_bytes in (1, 10_000, 100_000, 1_000_000, 10_000_000, 10**12)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 262
    assert sizes[-2:] == [65_536, 65_536]
    texts = [("en", f"number {n} of the words that differ from {n * 7919}") for n in range(3000)]
    n_bytes = sum(len(text) for _, text in texts)
    assert fit_tokenizer(texts, TokenizerOptions()).vocab_size == suitable_vocabulary(n_bytes)
