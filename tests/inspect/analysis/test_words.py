"""Words in scripts that differ in what joins and what separates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.inspect.analysis.words import split_words, words_of_spans


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man's hat.", ["A", "man", "'", "s", "hat", "."]),
        ("saftig-grünes\u3000Gras", ["saftig", "-", "grünes", "Gras"]),
        ("snake_case 3.5", ["snake_case", "3", ".", "5"]),
        ("gru\u0308n e\u0301", ["gru\u0308n", "e\u0301"]),  # marks that follow their letter
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs are marks
        ("می\u200cروم", ["می\u200cروم"]),  # Persian, a zero-width non-joiner inside the word
        ("猫は。", ["猫", "は", "。"]),
        ("👩\u200d💻👍🏽!", ["👩\u200d💻", "👍", "🏽", "!"]),
        ("❤\ufe0f ok", ["❤\ufe0f", "ok"]),
        ("שלום, עולם", ["שלום", ",", "עולם"]),
        (" \u0301 \u200d", ["\u0301", "\u200d"]),  # what has nothing to belong to stands alone
        ("", []),
    ],
)
def test_words_of_scripts(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(max_size=30))
def test_words_are_the_text_without_its_spaces(text: str) -> None:
    spans = split_words(text)
    assert "".join(words(text)) == "".join(sign for sign in text if not sign.isspace())
    assert all(start < end for start, end in spans)
    assert list(spans) == sorted(spans)


def test_a_token_belongs_to_the_word_it_shares_most_with() -> None:
    text = "ab cde."
    tokens = [(0, 0), (0, 2), (2, 4), (4, 7), (6, 7), (2, 3), (1, 4)]
    # The token (1, 4) has a character of either word: the first one has it.
    assert split_words(text) == ((0, 2), (3, 6), (6, 7))
    assert words_of_spans(tokens, split_words(text)) == (-1, 0, 1, 1, 2, -1, 0)
    assert words_of_spans([(0, 1)], []) == (-1,)
