"""Conditions and numbers of roff."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.readers.roff.numbers import evaluate, split_condition


@pytest.mark.parametrize(
    ("text", "value", "rest"),
    [
        ("2+3*4 x", 20, " x"),
        ("(1 + 2)*3", 9, ""),
        ("1:0&0", 0, ""),
        ("7/0", 0, ""),
        ("-(2-5)", 3, ""),
        ("1i/2", 120, ""),
        ("3>?5<?4", 4, ""),
        ("2==2 .br", 1, " .br"),
        ("((1", 1, ""),
        ("1)2", 1, ")2"),
        ("word", 0, "word"),
    ],
)
def test_numbers_are_counted_from_left_to_right(text: str, value: int, rest: str) -> None:
    assert evaluate(text) == (value, rest)


@pytest.mark.parametrize(
    ("text", "holds", "rest"),
    [
        ("n .br", True, ".br"),
        ("t .br", False, ".br"),
        ("!t text", True, "text"),
        ("! n text", False, "text"),
        ("1 .ds", True, ".ds"),
        ("(1>2)&1 x", False, "x"),
        ("'a'a' same", True, "same"),
        ("'a'b'other", False, "other"),
        ('""" empty', True, "empty"),
        ("d known x", True, "x"),
        ("d unknown x", False, "x"),
        ("r known x", False, "x"),
        ("", False, ""),
    ],
)
def test_conditions(text: str, holds: bool, rest: str) -> None:
    assert split_condition(text, lambda letter: {"known"} if letter == "d" else set()) == (holds, rest)


@given(st.text(alphabet="()+-*/%<>=!&:?0123456789.nitd'a "))
def test_nothing_is_too_odd(text: str) -> None:
    evaluate(text)
    split_condition(text, lambda letter: ())
