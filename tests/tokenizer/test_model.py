"""Encoding, decoding, offsets, tables and files.

Covers xformer.tokenizer.errors, files and special, too.
"""

from __future__ import annotations

import multiprocessing
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.tokenizer import Tokenizer, TokenizerError, TokenizerOptions, train_tokenizer
from xformer.tokenizer.special import (
    BOS_ID,
    EOS_ID,
    FIRST_BYTE_ID,
    MASK_ID,
    PAD_ID,
    SPECIAL_IDS,
    SPECIAL_PIECES,
    UNK_ID,
)

any_text = st.text()  # everything but lone surrogates
near_the_edges = st.text(alphabet="a <>s/\u2581\u2585\n\t\u2028\u0301é<0x41>한")


@pytest.fixture(scope="module")
def nfc(sentences: list[tuple[str, str]]) -> Tokenizer:
    return train_tokenizer(sentences, TokenizerOptions(vocabulary_size=720, normalization="nfc"))


@pytest.fixture(scope="module")
def nfkc(sentences: list[tuple[str, str]]) -> Tokenizer:
    return train_tokenizer(sentences, TokenizerOptions(vocabulary_size=720, normalization="nfkc"))


def check_text(tokenizer: Tokenizer, text: str) -> None:
    """Everything that holds for every text where nothing is normalised."""
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert tokenizer.decode(ids) == text
    assert np.array_equal(ids, tokenizer.encode(text))
    assert not SPECIAL_IDS & set(ids.tolist())
    assert tokenizer.byte_lengths()[ids].sum() == len(text.encode()) + bool(text)
    for i, (first, (begin, end)) in zip(ids.tolist(), enumerate(offsets.tolist()), strict=True):
        if tokenizer.is_byte()[i]:
            assert end == begin + 1
            assert i - FIRST_BYTE_ID in text[begin].encode()
        else:
            piece = tokenizer.piece(i).replace("\u2581", " ")
            assert text[begin:end] == (piece if first else piece.removeprefix(" "))
    assert (np.diff(offsets, axis=0) >= 0).all()
    assert {i for begin, end in offsets.tolist() for i in range(begin, end)} == set(range(len(text)))


def test_odd_texts_survive(tokenizer: Tokenizer, odd_text: str) -> None:
    check_text(tokenizer, odd_text)


def test_sentences_survive(tokenizer: Tokenizer, sentences: list[tuple[str, str]]) -> None:
    for _, text in sentences:
        check_text(tokenizer, text)


@settings(max_examples=150)
@given(text=any_text | near_the_edges)
def test_any_text_survives(unigram: Tokenizer, bpe: Tokenizer, text: str) -> None:
    check_text(unigram, text)
    check_text(bpe, text)


@settings(max_examples=60)
@given(texts=st.lists(any_text | near_the_edges, max_size=6), threads=st.sampled_from([None, 1, 3]))
def test_a_batch_is_its_texts_one_by_one(unigram: Tokenizer, texts: list[str], threads: int | None) -> None:
    batch = unigram.encode_batch(texts, threads)
    assert all(row.dtype == np.int32 for row in batch)
    assert [row.tolist() for row in batch] == [unigram.encode(text).tolist() for text in texts]
    assert unigram.decode_batch(batch) == texts


@settings(max_examples=30)
@given(texts=st.lists(any_text, max_size=9), size=st.integers(1, 4))
def test_a_stream_is_its_texts_in_order(bpe: Tokenizer, texts: list[str], size: int) -> None:
    stream = bpe.encode_stream(iter(texts), batch_size=size)
    assert [row.tolist() for row in stream] == [bpe.encode(text).tolist() for text in texts]


def test_a_stream_reads_no_further_than_it_must(unigram: Tokenizer) -> None:
    read: list[int] = []

    def texts() -> object:
        for i in range(100):
            read.append(i)
            yield "word"

    stream = unigram.encode_stream(texts(), batch_size=4)  # type: ignore[arg-type]
    next(stream)
    assert len(read) == 4


def test_special_ids_are_fixed(tokenizer: Tokenizer) -> None:
    assert (BOS_ID, PAD_ID, EOS_ID, UNK_ID, MASK_ID) == (0, 1, 2, 3, 4)
    assert [tokenizer.piece(i) for i in range(5)] == list(SPECIAL_PIECES)
    assert [tokenizer.id(piece) for piece in SPECIAL_PIECES] == list(range(5))


def test_special_ids_only_on_request(tokenizer: Tokenizer) -> None:
    plain = tokenizer.encode("The cat")
    framed = tokenizer.encode("The cat", add_special=True)
    assert framed.tolist() == [BOS_ID, *plain.tolist(), EOS_ID]
    assert tokenizer.encode_batch(["The cat"], add_special=True)[0].tolist() == framed.tolist()
    assert tokenizer.encode("", add_special=True).tolist() == [BOS_ID, EOS_ID]
    assert tokenizer.decode(framed) == "The cat"


def test_a_word_has_the_same_pieces_at_the_front_and_inside(tokenizer: Tokenizer) -> None:
    word = tokenizer.encode("window").tolist()
    inside = tokenizer.encode("the window").tolist()
    assert inside[-len(word) :] == word


def test_offsets_by_hand(tokenizer: Tokenizer) -> None:
    ids, offsets = tokenizer.encode_with_offsets("a 𒀀b")
    assert offsets.dtype == np.int64
    spelled = [tuple(span) for i, span in zip(ids, offsets.tolist(), strict=True) if tokenizer.is_byte()[i]]
    assert spelled == [(2, 3)] * 4
    assert offsets[0, 0] == 0
    assert offsets[-1].tolist() == [3, 4]
    empty, none = tokenizer.encode_with_offsets("")
    assert empty.shape == (0,)
    assert none.shape == (0, 2)


def test_offsets_point_into_the_text_before_normalisation(nfkc: Tokenizer) -> None:
    text = "ﬁ cafe\u0301 x"
    ids, offsets = nfkc.encode_with_offsets(text)
    assert nfkc.decode(ids) == "fi café x"
    touched = [text[begin:end] for begin, end in offsets.tolist()]
    assert any("ﬁ" in part for part in touched)
    last_of_word = [part for part in touched if "\u0301" in part]
    assert last_of_word
    assert all("e\u0301" in part for part in last_of_word)
    assert text[offsets[-1, 0] : offsets[-1, 1]].strip() == "x"


@settings(max_examples=100)
@given(text=any_text | st.text(alphabet="e\u0301\u0323 ﬁｶﾞ\u1112\u1161\u11abx\u2581"))
def test_normalisation_is_the_standard_one(nfc: Tokenizer, nfkc: Tokenizer, text: str) -> None:
    for tokenizer, form in ((nfc, "NFC"), (nfkc, "NFKC")):
        ids, offsets = tokenizer.encode_with_offsets(text)
        expected = unicodedata.normalize(form, text)  # type: ignore[arg-type]
        assert tokenizer.decode(ids) == expected
        assert tokenizer.byte_lengths()[ids].sum() == len(expected.encode()) + bool(text)
        assert (offsets[:, 0] <= offsets[:, 1]).all()
        assert (np.diff(offsets[:, 0]) >= 0).all()
        assert {i for begin, end in offsets.tolist() for i in range(begin, end)} == set(range(len(text)))


def test_canonically_equal_spellings_are_equal_after_nfc(nfc: Tokenizer, unigram: Tokenizer) -> None:
    composed, decomposed = "ậ", "a\u0302\u0323"
    assert nfc.encode(composed).tolist() == nfc.encode(decomposed).tolist()
    assert unigram.encode(composed).tolist() != unigram.encode(decomposed).tolist()


@pytest.mark.parametrize(
    "call",
    [
        lambda tokenizer, text: tokenizer.encode(text),
        lambda tokenizer, text: tokenizer.encode_batch(["fine", text]),
        lambda tokenizer, text: tokenizer.encode_with_offsets(text),
        lambda tokenizer, text: tokenizer.sample(text, alpha=0.5, seed=0),
    ],
    ids=["encode", "encode_batch", "encode_with_offsets", "sample"],
)
def test_lone_surrogates_are_refused_by_place(
    tokenizer: Tokenizer, call: Callable[[Tokenizer, str], object]
) -> None:
    with pytest.raises(TokenizerError, match=r"U\+D800 at character 5"):
        call(tokenizer, "fine \ud800 not")


@pytest.mark.parametrize("bad", [-1, 10**6])
def test_ids_outside_the_vocabulary_are_refused(unigram: Tokenizer, bad: int) -> None:
    with pytest.raises(TokenizerError, match="expected 0 to 719"):
        unigram.decode([5, bad])
    with pytest.raises(TokenizerError, match="expected a number from 0 to 719"):
        unigram.piece(bad)


def test_unknown_pieces_and_settings_are_refused(unigram: Tokenizer, bpe: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match="'no such piece'"):
        unigram.id("no such piece")
    with pytest.raises(TokenizerError, match="num_threads"):
        unigram.encode_batch(["a"], num_threads=0)
    with pytest.raises(TokenizerError, match="batch_size"):
        next(unigram.encode_stream(["a"], batch_size=0))
    with pytest.raises(TokenizerError, match="alpha: expected a number of at least 0"):
        unigram.sample("a", alpha=-0.1, seed=0)
    with pytest.raises(TokenizerError, match="alpha: expected a number from 0 to 1"):
        bpe.sample("a", alpha=1.5, seed=0)


def test_half_a_character_decodes_to_a_replacement_mark(unigram: Tokenizer) -> None:
    assert unigram.decode(unigram.encode("a𒀀")[:-1]) == "a\ufffd"


def test_save_and_load(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way" / "tokenizer.model"
    tokenizer.save(path)
    again = Tokenizer.load(path)
    assert again.fingerprint() == tokenizer.fingerprint()
    assert again.model == tokenizer.model
    assert again.normalization == "identity"
    assert again.encode("The cat").tolist() == tokenizer.encode("The cat").tolist()
    assert [entry.name for entry in path.parent.iterdir()] == ["tokenizer.model"]


def test_a_failed_save_leaves_what_was_there(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        tokenizer.save(folder)
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_the_normalisation_is_in_the_file(nfc: Tokenizer, nfkc: Tokenizer, tmp_path: Path) -> None:
    for tokenizer in (nfc, nfkc):
        tokenizer.save(tmp_path / "m")
        assert Tokenizer.load(tmp_path / "m").normalization == tokenizer.normalization
    assert nfc.fingerprint() != nfkc.fingerprint()


def test_travels_to_a_spawned_process(bpe: Tokenizer) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        # A function of the package: a child that cannot import what it is sent dies, and the pool waits.
        elsewhere = pool.apply(Tokenizer.encode, (bpe, "The cat"))
        assert pool.apply(Tokenizer.fingerprint, (bpe,)) == bpe.fingerprint()
    assert elsewhere.tolist() == bpe.encode("The cat").tolist()
