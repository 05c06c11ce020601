"""Tables over the vocabulary."""

from __future__ import annotations

import numpy as np
import pytest

from xformer.tokenizer import Tokenizer
from xformer.tokenizer.pieces import is_unspaced
from xformer.tokenizer.special import FIRST_BYTE_ID, SPECIAL_IDS


def test_byte_lengths(tokenizer: Tokenizer) -> None:
    lengths = tokenizer.byte_lengths()
    assert lengths.shape == (tokenizer.vocab_size,)
    assert not lengths[list(SPECIAL_IDS)].any()
    assert (lengths[FIRST_BYTE_ID : FIRST_BYTE_ID + 256] == 1).all()
    assert lengths[tokenizer.id("▁")] == 1
    for i in range(FIRST_BYTE_ID + 256, tokenizer.vocab_size):
        assert lengths[i] == len(tokenizer.piece(i).replace("▁", " ").encode())


def test_byte_pieces(tokenizer: Tokenizer) -> None:
    assert np.flatnonzero(tokenizer.is_byte()).tolist() == list(range(FIRST_BYTE_ID, FIRST_BYTE_ID + 256))


def test_tables_are_copies(tokenizer: Tokenizer) -> None:
    tokenizer.byte_lengths()[:] = 7
    tokenizer.starts_word()[:] = False
    tokenizer.is_byte()[:] = False
    tokenizer.piece_scores()[:] = 0.0
    assert tokenizer.byte_lengths()[0] == 0
    assert tokenizer.starts_word()[0]
    assert tokenizer.is_byte()[FIRST_BYTE_ID]
    assert tokenizer.piece_scores().any()


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    """The text cut where a piece starts a word."""
    ids, offsets = tokenizer.encode_with_offsets(text)
    starts = tokenizer.starts_word()[ids]
    found: list[str] = []
    for start, (begin, end) in zip(starts, offsets.tolist(), strict=True):
        part = text[begin:end]
        if start or not found:
            found.append(part)
        elif not found[-1].endswith(part) or len(part) != 1:
            found[-1] += part
    return [word.strip(" ") for word in found if word.strip(" ")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where is the cat?", ["Where", "is", "the", "cat", "?"]),
        ("Größe, bitte", ["Größe", ",", "bitte"]),
        ("Кошка спит.", ["Кошка", "спит", "."]),
        ("सबसे नज़दीकी", ["सबसे", "नज़दीकी"]),
        ("הַיְלָדִים קוֹרְאִים", ["הַיְלָדִים", "קוֹרְאִים"]),
        ("كتابًا عن", ["كتابًا", "عن"]),
        ("고양이가 잔다", ["고양이가", "잔다"]),
        ("one\ntwo", ["one", "\ntwo"]),
        ("xßŁx y", ["xßŁx", "y"]),
    ],
)
def test_words_of_spaced_scripts(bpe: Tokenizer, text: str, expected: list[str]) -> None:
    assert words(bpe, text) == expected


@pytest.mark.parametrize("text", ["猫睡在温暖的屋顶上", "猫は暖かい屋根の上で", "龘靐齉"])
def test_every_piece_is_a_word_without_spaces(bpe: Tokenizer, text: str) -> None:
    ids, offsets = bpe.encode_with_offsets(text)
    starts = bpe.starts_word()[ids]
    # Each character that begins a piece begins a word; the rest of its bytes do not.
    previous = None
    for start, span in zip(starts[1:], offsets.tolist()[1:], strict=True):
        assert start == (span != previous)
        previous = span


def test_thai_marks_do_not_start_words(bpe: Tokenizer) -> None:
    starts = bpe.starts_word()
    learnt = range(FIRST_BYTE_ID + 256, bpe.vocab_size)
    thai = [i for i in learnt if "\u0e00" <= bpe.piece(i)[0] <= "\u0e7f"]
    marks = [i for i in thai if bpe.piece(i)[0] in "\u0e31\u0e34\u0e35\u0e36\u0e37\u0e38\u0e39\u0e48\u0e49"]
    assert marks
    assert not starts[marks].any()
    assert starts[[i for i in thai if "\u0e01" <= bpe.piece(i)[0] <= "\u0e2e"]].all()


@pytest.mark.parametrize(
    ("character", "expected"),
    [(character, True) for character in "猫ねヤกລកမབ𠮷"] + [(character, False) for character in "aяאअ한ა👍"],
)
def test_scripts_without_spaces(character: str, expected: bool) -> None:
    assert is_unspaced(character) == expected
