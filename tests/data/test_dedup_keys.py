"""Deduplication keys: equal for the same text to a reader, different for other texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.dedup_keys import DedupKeys, text_hash


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Enter a valid email address.", "ENTER A VALID  E-MAIL ADDRESS!"),
        ("%(count)d pages", "{count} pages"),
        ("%s pages", "%1$s pages"),
        ("Page 1 of 20", "Page 3 of 7"),
        ("ﬁle", "FILE"),
        ("Straße", "STRASSE"),
        ("Cafe\u0301", "Café"),
        ("ＡＢＣ", "abc"),
        ("100%\n", " 100%"),
    ],
)
def test_what_reads_the_same_has_one_key(first: str, second: str) -> None:
    key = DedupKeys()
    assert key(first) == key(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("कि", "का"),  # vowel signs are marks
        ("ที่", "ทา"),
        ("100 %", "→"),
        ("Move up", "Move down"),
        ("保存", "保管"),
        ("50% of it", "50 if it"),
        ("%s", "%d"),
    ],
)
def test_what_reads_differently_has_another_key(first: str, second: str) -> None:
    key = DedupKeys()
    assert key(first) != key(second)


@given(st.text())
def test_a_key_is_its_own_key_and_never_empty_for_visible_text(text: str) -> None:
    key = DedupKeys()
    once = key(text)
    assert bool(once) == bool(text.strip()) or not text.isprintable()
    if once.isalpha():
        assert key(once) == once


@given(st.lists(st.text() | st.sampled_from(["100 %", "%s{x}a", "\0", "a\0b", "ẞ%d", "e\u0301", "%", "{}"])))
def test_many_texts_have_the_keys_that_each_has(texts: list[str]) -> None:
    assert DedupKeys().of(texts) == [DedupKeys()(text) for text in texts]


def test_no_two_texts_grow_together() -> None:
    texts = ["%", "s", "a", "\u0301", "{", "}", "ᄀ", "ᅡ", "\u0301", "%(a", ")d", "Σ", "x", "%1$", "s"]
    assert DedupKeys().of(texts) == [DedupKeys()(text) for text in texts]


def test_text_numbers_keep_their_parts_apart() -> None:
    assert text_hash("de", "en") != text_hash("deen")
    assert text_hash("a", "b") != text_hash("b", "a")
