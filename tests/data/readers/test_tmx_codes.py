"""What formatting code in TMX does to the text around it."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

import pytest

from xformer.data.readers import read_tmx


def read(write: Any, segment: str) -> str:
    unit = f'<tu><tuv xml:lang="en"><seg>{segment}</seg></tuv></tu>'
    (record,) = read_tmx(write("a.tmx", f'<tmx version="1.4"><body>{unit}</body></tmx>'))
    return record.text


@pytest.mark.parametrize(
    "code",
    [
        "<br/>",
        "<br>",
        "<BR />",
        "</p><p>",
        "<w:br/>",
        "<img src='a.png'/>",
        "\\n",
        "\\line ",
        "\n",
        "&nbsp;",
        "{0}",
    ],
)
def test_what_stands_on_its_own_divides_words(write: Any, code: str) -> None:
    coded = f"<ph>{escape(code)}</ph>"
    assert read(write, f"line one{coded}line two") == "line one line two"
    assert read(write, f"line one{coded}{coded}line two") == "line one line two"
    assert read(write, f"line one {coded}line two") == "line one line two"
    assert read(write, f"line one{coded}\nline two") == "line one\nline two"
    assert read(write, f"{coded}line{coded}") == "line"
    assert read(write, f"end.{coded}Next ({coded}a{coded}), b") == "end. Next (a), b"


@pytest.mark.parametrize(
    "code", ["<b>", "</b>", "<span class='x'>", "&shy;", "&", "&amp;", "_", "<wbr/>", "\\-"]
)
def test_code_inside_a_word_leaves_it_whole(write: Any, code: str) -> None:
    assert read(write, f"un<ph>{escape(code)}</ph>believable") == "unbelievable"


def test_pairs_of_code(write: Any) -> None:
    bold = f'un<bpt i="1">{escape("<b>")}</bpt>believ<ept i="1">{escape("</b>")}</ept>able'
    assert read(write, bold) == "unbelievable"
    rtf = 'un<bpt i="1">{\\b </bpt>believ<ept i="1">}</ept>able<it pos="begin">{</it>s'
    assert read(write, rtf) == "unbelievables"
    paragraphs = f'one<ept i="1">{escape("</p>")}</ept><bpt i="2">{escape("<p>")}</bpt>two'
    assert read(write, paragraphs) == "one two"
    assert read(write, "un<hi>believ</hi>able") == "unbelievable"


def test_the_type_of_a_code_decides_before_its_content(write: Any) -> None:
    assert read(write, 'one<it pos="begin" type="lb">x</it>two') == "one two"
    assert read(write, 'un<ph type="bold"/>believable') == "unbelievable"
    assert read(write, 'one<ph x="1"/>two') == "one two"
    assert read(write, "one<ph><sub>a note</sub>{1}</ph>two") == "one two"
