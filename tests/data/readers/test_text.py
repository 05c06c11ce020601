"""Plain text, by line and by paragraph."""

from __future__ import annotations

from typing import Any

import pytest

from xformer.data.readers import read_text

CONTENT = "\ufeffOne\u2028one\nTwo\n\n \nThree\r\n\n"


def test_lines(write: Any) -> None:
    records = list(read_text(write("news.de.txt", CONTENT)))
    assert [(record.text, record.source, record.language) for record in records] == [
        ("One\u2028one", "news.de.txt:1", "de"),
        ("Two", "news.de.txt:2", "de"),
        ("Three", "news.de.txt:5", "de"),
    ]


@pytest.mark.parametrize("end", ["", "\n", "\n\nLast"])
def test_paragraphs(write: Any, end: str) -> None:
    records = list(read_text(write("a.txt", CONTENT + end), language="de", paragraphs=True))
    expected = [("One\u2028one\nTwo", "a.txt:1"), ("Three", "a.txt:5")]
    assert [(r.text, r.source) for r in records] == expected + (
        [("Last", "a.txt:9")] if "Last" in end else []
    )


def test_equal_lines_are_one_group(write: Any) -> None:
    first, second, third = read_text(write("de.txt", "a\nb\na\n"))
    assert first.group == third.group != second.group


def test_broken_text(write: Any, refused: Any) -> None:
    path = write("de.txt", b"a\n\xc3(\n")
    with refused(f"{path}:2", "UTF-8"):
        list(read_text(path))
    with refused("readme.txt", "file's name does not give the language", "'.de.txt'"):
        list(read_text(write("readme.txt", "a")))
    with refused("language tag", "?"):
        list(read_text(path, language="?"))
