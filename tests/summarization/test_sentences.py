"""Sentences end where readers of their script see an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.summarization.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It costs 3.5 M. It is much, e.g. for us.", ["It costs 3.5 M.", "It is much, e.g. for us."]),
        ("J. R. R. Tolkien wrote it. He did.", ["J. R. R. Tolkien wrote it.", "He did."]),
        ("version 2.0 is out! (Really.) So?", ["version 2.0 is out!", "(Really.)", "So?"]),
        ("Il dit : « Oui. » Non !", ["Il dit : « Oui. »", "Non !"]),
        ("高い。本当？「はい。」终", ["高い。", "本当？", "「はい。」", "终"]),
        ("यह है। वह था॥ अंत", ["यह है।", "वह था॥", "अंत"]),
        ("هذا؟ نعم. لا", ["هذا؟", "نعم.", "لا"]),
        ("ይህ ነው። ያ", ["ይህ ነው።", "ያ"]),
        ("a\nb\n\n\nc\n \nd", ["a\nb", "c", "d"]),
        ("ends... then goes on", ["ends... then goes on"]),
        ("www.example.org is no end", ["www.example.org is no end"]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@given(st.text(alphabet='aB .。!\n»"१।', max_size=40))
def test_nothing_but_white_space_is_lost(text: str) -> None:
    found = split_sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() != "" for sentence in found)
