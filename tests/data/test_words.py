"""Words of many texts, compared with what a regular expression finds in each."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xformer.data.words import Words

LETTER, ALONE = re.compile(r"[^\W\d_]"), re.compile("[保存ก-๛]")
PLAIN = re.compile(rf"{ALONE.pattern}|(?:(?!{ALONE.pattern})[^\W\d_])+")

# Letters that fold to several characters, to another one at a word's end, or to a mark, which ends a word.
TEXTS = st.lists(
    st.text(st.one_of(st.sampled_from("aA b_1.ßİΣσᾷΐŉ保存ก\0\u0301\ud800"), st.characters()), max_size=12),
    max_size=12,
)


def _of(texts: list[str], fold: Callable[[str], str], pattern: re.Pattern[str]) -> list[list[str]]:
    return [pattern.findall(fold(text)) for text in texts]


@given(TEXTS, st.sampled_from([str.casefold, str.lower]), st.integers(1, 3))
@example(["ΑΣ", "Σ", "ΣΑ"], str.lower, 1)
@example(["", "\0", "a\0b", ""], str.lower, 1)
@example(["İİ", "ab"], str.lower, 1)
def test_the_same_words_as_by_a_regular_expression(
    texts: list[str], fold: Callable[[str], str], least: int
) -> None:
    expected = _of(texts, fold, PLAIN)
    place, hashes = Words(fold, LETTER, ALONE)(texts, least)
    words = [(at, word) for at, found in enumerate(expected) if len(found) >= least for word in found]
    assert place.tolist() == [at for at, _ in words]
    number = {word: hash for (_, word), hash in zip(words, hashes.tolist(), strict=True)}
    assert hashes.tolist() == [number[word] for _, word in words], "equal words, equal hashes"
    assert len(set(number.values())) == len(number), "different words, different hashes"


@pytest.mark.parametrize(
    "text", ["ab ba", "ab a b", "a aa aaa", "保存 存保", "ab" * 2_000 + " " + "ba" * 2_000]
)
def test_order_and_number_of_letters_count(text: str) -> None:
    _, hashes = Words(str.lower, LETTER)([text])
    assert len(set(hashes.tolist())) == len(set(text.split()))


def test_the_hash_of_a_word_does_not_depend_on_what_is_around_it() -> None:
    words = Words(str.casefold, LETTER, ALONE)
    _, alone = words(["word"])
    place, hashes = words(["another word, a much longer one", "x", "WORD"])
    assert place.tolist() == [0, 0, 0, 0, 0, 0, 1, 2]
    assert hashes[1] == hashes[7] == alone[0]
