"""What readers of dictionaries share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.dictionary import (
    Sense,
    is_sentence,
    languages_of_dictionary,
    licence_in,
    split_list,
    without_notes,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go (by train)", "go"),
        ("(rail) way [old], road <n>", "way, road"),
        ("a (b (c) d) e", "a e"),
        ("(f) (m) word", "word"),
        ("person(s)", "person(s)"),
        ("(s')appeler", "(s')appeler"),
        ("word (unclosed", "word (unclosed"),
        ("word) [x]", "word)"),
        ("a  b\n c", "a b c"),
        ("糸（いと）", "糸（いと）"),
        ("{x}(n) y", "y"),
        ("He (too) came (home).", "He came."),
        ("(all of it)", ""),
    ],
)
def test_notes_in_brackets_are_removed(text: str, expected: str) -> None:
    assert without_notes(text) == expected


@given(st.text("ab ()[]<>{}.,", max_size=20))
def test_what_is_kept_stands_in_the_text_in_its_order(text: str) -> None:
    kept = without_notes(text)
    rest = iter(text)
    assert all(character in rest for character in kept)
    assert "(" in text or "[" in text or "<" in text or "{" in text or kept.split() == _spaced(text)


def _spaced(text: str) -> list[str]:
    for mark in ".,":
        while f" {mark}" in text:
            text = text.replace(f" {mark}", mark)
    return text.split()


def test_lists_and_sentences() -> None:
    assert split_list("one, two; three ، four, ", sentences=False) == ["one", "two", "three", "four"]
    assert split_list("1,000 miles", sentences=False) == ["1,000 miles"]
    assert split_list("Well, no. [Br.], No, never!, ", sentences=True) == ["Well, no. [Br.], No, never!"]
    assert split_list("Well, no., No, never!", sentences=True) == ["Well, no.", "No, never!"]
    assert [is_sentence(text) for text in ("He came.", "Wirklich?", "etw.", "see sth.", "word", "क्या।")] == [
        True, True, False, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stem", "title", "languages", "expected"),
    [
        ("freedict-deu-eng", "", None, ("de", "en")),
        ("eng-rom", "English-Romanian FreeDict Dictionary ver. 0.6", None, ("en", "ro")),
        ("x", "English - Modern Greek XDXF/FreeDict dictionary", None, None),
        ("eng-ell", "English - Modern Greek XDXF/FreeDict dictionary", None, ("en", "el")),
        ("german-english", "German - English Dictionary devel 2023", None, ("de", "en")),
        ("german-english", "", None, ("de", "en")),
        ("fra-tur", "français-Türkçe FreeDict+WikDict dictionary", None, ("fr", "tr")),
        ("nno_nob", "", None, ("nn", "nb")),
        ("wn", "WordNet (r) 3.0 (2006)", None, None),
        ("xx-yy", "", None, None),
        ("any", "German-English dictionary", ["ces", "slk"], ("cs", "sk")),
    ],
)
def test_languages(
    stem: str, title: str, languages: list[str] | None, expected: tuple[str, str] | None
) -> None:
    assert languages_of_dictionary(stem, title, languages, ImportNotes()) == expected


def test_languages_that_are_not_two(refused: Any) -> None:
    with refused("--languages: expected two", "got 1"):
        languages_of_dictionary("deu-eng", "", ["de"], ImportNotes())


def test_the_sentence_of_the_licence() -> None:
    text = "Made by some.\n\n  Available under the terms of the GPL\n  ver. 2.0.  No warranty.\n\nMore"
    assert licence_in(text) == "Available under the terms of the GPL ver. 2.0."
    assert licence_in("Copyright (C) 1999 by somebody.") is None


def test_a_sense_is_one_group_and_needs_two_sides() -> None:
    notes = ImportNotes()
    sense = Sense((("de", "Boot"), ("en", "boat"), ("en", "boat"), ("en", "Boot")), 1)
    records = list(sense.records("a:1", notes))
    assert [(record.language, record.text, record.source) for record in records] == [
        ("de", "Boot", "a:1"),
        ("en", "boat", "a:1"),
        ("en", "Boot", "a:1"),
    ]
    assert len({record.group for record in records}) == 1
    assert list(Sense((("de", "Boot"),), 1).records("a:2", notes)) == []
    assert list(Sense((("en", "boat"),), 0).records("a:3", notes)) == []
    assert {reason: dict(counts) for reason, counts in notes.left_out.items()} == {
        "not translated": {"de": 1, "en": 1}
    }
