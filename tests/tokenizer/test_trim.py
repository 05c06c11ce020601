"""Trimmed vocabularies cut the texts that they were trimmed to as before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from xformer.tokenizer import Tokenizer, TokenizerError, TokenizerOptions, train_tokenizer
from xformer.tokenizer.options import ModelType
from xformer.tokenizer.special import BYTE_COUNT, FIRST_BYTE_ID
from xformer.tokenizer.trim import pieces_in, rebuilt, trim_tokenizer

WORDS = ["ab", "abba", "baab", "bab", "aaa", "bbb", "abab", "cab", "acca", "baccab", "dada", "bad"]
WORDS += ["cad", "dab", "ad", "da"]
TRAINED = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS[:4]]
LETTERS = st.text(alphabet="abcd e\u2581\u0436", max_size=24)


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    kind: ModelType = request.param
    options = TokenizerOptions(vocabulary_size=278, model=kind, threads=1)
    return train_tokenizer([("xx", text) for text in TRAINED], options)


@given(texts=st.lists(LETTERS, min_size=1, max_size=4))
def test_kept_texts_are_cut_as_before(trained: Tokenizer, texts: list[str]) -> None:
    """Runs of one letter are ties, `e` and the Cyrillic letter have no piece."""
    trimmed, old_ids = trim_tokenizer(trained, pieces_in(trained, texts))
    assert trimmed.vocab_size == len(old_ids) <= trained.vocab_size
    for text in texts:
        assert old_ids[trimmed.encode(text)].tolist() == trained.encode(text).tolist()
    assert all(trained.piece(int(old)) == trimmed.piece(new) for new, old in enumerate(old_ids))


def test_pieces_that_no_text_needs_go(trained: Tokenizer) -> None:
    counts = pieces_in(trained, ["bad dab", "bad"])
    assert counts.sum() == sum(len(trained.encode(text)) for text in ("bad dab", "bad"))
    trimmed, old_ids = trim_tokenizer(trained, counts)
    fixed = FIRST_BYTE_ID + BYTE_COUNT
    assert trimmed.vocab_size < trained.vocab_size
    assert old_ids[:fixed].tolist() == list(range(fixed))
    letters = {letter for new in range(fixed, len(old_ids)) for letter in trimmed.piece(new)}
    assert all(trimmed.piece(trimmed.id(letter)) == letter for letter in letters)
    np.testing.assert_array_equal(trimmed.piece_scores(), trained.piece_scores()[old_ids])
    assert not counts[np.setdiff1d(np.arange(len(counts)), old_ids)].any()
    assert (trimmed.encode("adab")[1:] >= fixed).all()


def test_the_file_says_its_size(trained: Tokenizer) -> None:
    trimmed, _ = trim_tokenizer(trained, pieces_in(trained, ["bad"]))
    processor = SentencePieceProcessor(model_proto=trimmed.to_bytes())
    assert processor.get_piece_size() == trimmed.vocab_size == len(processor)
    assert Tokenizer.from_bytes(trimmed.to_bytes()).fingerprint() == trimmed.fingerprint()
    assert trimmed.normalization == trained.normalization


def test_new_pieces_stand_behind_the_others(trained: Tokenizer) -> None:
    long = "\u2581" + "я" * 60  # its field is longer than a byte can say
    more = rebuilt(trained, range(trained.vocab_size), [("ж", -3.5), (long, -0.125)])
    first = trained.vocab_size
    assert [more.piece(first), more.piece(first + 1)] == ["ж", long]
    assert more.piece_scores()[first:].tolist() == [-3.5, -0.125]
    if trained.model == "unigram":
        assert more.encode("ж")[-1] == first
        assert more.encode("я" * 60).tolist() == [first + 1]


def test_counts_of_another_vocabulary_are_refused(trained: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match="counts: expected shape"):
        trim_tokenizer(trained, np.ones(7, dtype=np.int64))
