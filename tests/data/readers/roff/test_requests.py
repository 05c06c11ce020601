"""The interpreter: definitions, conditions, strings, and pages without end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.readers.roff.requests import Call, Interpreter, Text
from xformer.errors import InputError


def read(*lines: str, kept: tuple[str, ...] = ()) -> list[Any]:
    """Texts as strings, calls as tuples."""
    page = Interpreter("\n".join(lines), "page.1", {"R": "®"}, kept)
    return [line.text if isinstance(line, Text) else (line.name, *line.arguments) for line in page]


def test_calls_have_their_arguments() -> None:
    assert read('.B "two words" one "a ""quoted"" b" \\(co\\ 2 \\" comment') == [
        ("B", "two words", "one", 'a "quoted" b', "\\(co\\ 2")
    ]
    assert read("'  SH  A", '.IP "" 4', ".") == [("SH", "A"), ("IP", "", "4")]


def test_a_macro_that_the_page_defines_is_expanded() -> None:
    definition = [".de QU", "\\\\$2: \\(lq\\\\$1\\(rq \\\\n(.$ \\\\$*", "..", ".QU word it"]
    assert read(*definition) == ["it: \\(lqword\\(rq 2 word it"]
    assert read(*definition, kept=("QU",)) == [("QU", "word", "it")]
    assert read(".de OUT", ".de IN END", "inner \\\\\\\\$1", ".END", "..", ".OUT", ".IN x") == ["inner x"]
    assert read(".de A END", "one", ".END", ".am A", "two", "..", ".als B A", ".B") == ["one", "two"]
    assert read(".de A", "x", "..", ".rn A C", ".C", ".A", ".rm C", ".C") == ["x", ("A",), ("C",)]


def test_strings_and_registers() -> None:
    assert read('.ds tool \\fBxyz\\fP\\" comment', '.as tool " too', "\\*[tool] \\*R \\*(no") == [
        "\\fBxyz\\fP too ® "
    ]
    assert read('.ds x "  quoted', "\\*x") == ["  quoted"]
    assert read(".nr n 2", ".nr n +3", "\\nn \\n(.g \\w'ab'") == ["5 1 48"]
    assert read(".ds a \\\\*b", ".ds b deep", "\\*a") == ["deep"]


def test_conditions_choose() -> None:
    assert read(".if n yes", ".if t no", ".ie t no", ".el other") == ["yes", "other"]
    block = [".ie \\n(.g \\{\\", ".B one", "two \\}", ".el \\{\\", ".B three", ".if n .B four", ".\\}", "end"]
    assert read(*block) == [("B", "one"), "two ", "end"]
    assert read(".ie t \\{\\", *block[1:]) == [("B", "three"), ("B", "four"), "end"]
    assert read(".if t \\{", ".if n \\{", "x", ".\\}", "y", ".\\}", "z") == ["z"]
    assert read(".nr F 0", ".if \\nF .tm x", ".if !\\nF .de IX", "..", ".IX a", ".el lost") == []


def test_what_is_no_text_is_skipped() -> None:
    assert read(".ig", "hidden", "..", ".ig END", "hidden", "..", ".END", "shown") == ["shown"]
    assert read(".TS", "l l.", "a\tb", ".TE", "after") == [("TS",), "after"]
    assert read('.\\" comment', "'\\\" t", '\\" another', ".", "", "x") == ["", "x"]


def test_lines_go_on_after_a_backslash() -> None:
    assert read("one \\", "two", ".B a \\", "b") == ["one two", ("B", "a", "b")]
    assert read(".do B x", ".nop text", "\\}", ".\\}") == [("B", "x"), "text"]


def test_characters_are_translated() -> None:
    page = Interpreter(".tr \\(*W-`x", "page.1", {}, ())
    assert list(page) == []
    assert page.translation == {ord("Ω"): "-"}


@pytest.mark.parametrize(
    "lines",
    [
        (".de A", ".A", "..", ".A"),
        (".de A", ".A", "x", "..", ".A"),
        (".ds a xxxxxxxxxxxxxxxx", *(".as a \\*a" for _ in range(40))),
        (".ds a \\\\*b\\\\*b\\\\*b", ".ds b \\\\*a\\\\*a\\\\*a", "\\*a"),
        ("x" * 60 + "\\",) * 4000,
    ],
)
def test_a_page_without_end_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"^page\.1: .* (no end|itself)$"):
        read(*lines)


@given(st.lists(st.text(alphabet=".'\\{}*n$deifaslrm()[]\" AB1c", max_size=12), max_size=12))
def test_nothing_is_too_odd(lines: list[str]) -> None:
    for line in Interpreter("\n".join(lines), "page.1", {}, ()):
        assert isinstance(line, Text | Call)
