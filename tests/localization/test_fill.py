"""A translator fills catalogues; what it breaks stays untranslated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polib

from tests.localization.test_catalogue import CATALOGUE
from xformer.localization.catalogue import Catalogue
from xformer.localization.fill import Kept, fill_catalogue


def catalogue(folder: Path, text: str = CATALOGUE) -> Catalogue:
    path = folder / "messages.po"
    path.write_text(text, encoding="utf-8")
    return Catalogue(path)


def shouted(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The first translation loses a placeholder, the second has it."""
    for text in texts:
        yield [f"!{text.replace('%s', 'X').replace('%d', 'X')}", f"¡{text}"]


def test_the_first_translation_that_keeps_placeholders_is_taken(tmp_path: Path) -> None:
    opened = catalogue(tmp_path)
    done = fill_catalogue(opened, shouted)
    assert (done.filled, done.kept) == (4, ())
    opened.save(tmp_path / "out.po")
    found = {entry.msgid: entry for entry in polib.pofile(str(tmp_path / "out.po"))}
    assert found["open %s"].msgstr == "¡open %s"
    assert found["two\nlines\n"].msgstr == "!two\n!lines\n"  # line by line
    assert list(found["%d file"].msgstr_plural.values()) == ["¡%d file", "¡%d files", "¡%d files"]
    assert found["done"].msgstr == "готово"


def test_a_form_of_many_numbers_says_the_number(tmp_path: Path) -> None:
    """The singular says none; in Russian its form stands for 21, too."""
    opened = catalogue(tmp_path, CATALOGUE.replace('"%d file"', '"one file"'))
    asked: list[str] = []

    def translate(texts: Sequence[str]) -> Iterator[Sequence[str]]:
        asked.extend(texts)
        return ([text] for text in texts)

    fill_catalogue(opened, translate)
    assert "one file" not in asked
    assert asked.count("%d files") == 1
    german = CATALOGUE.replace('"%d file"', '"one file"').replace(
        "nplurals=3; plural=(n%10==1 && n%100!=11 ?", ""
    )
    start = german.index('"Plural-Forms')
    end = german.index("#: a.py:1")
    german = german[:start] + '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n' + german[end:]
    opened = catalogue(tmp_path, german.replace('msgstr[2] ""\n', ""))
    asked.clear()
    fill_catalogue(opened, translate)
    assert asked.count("one file") == asked.count("%d files") == 1


def test_what_is_broken_stays_and_is_said(tmp_path: Path) -> None:
    opened = catalogue(tmp_path)
    done = fill_catalogue(opened, lambda texts: (["x"] if "%" in text else ["", " "] for text in texts))
    assert done.filled == 0
    assert done.kept == (
        Kept(17, "open %s", "its translation lacks %s"),
        Kept(25, "two\nlines\n", "its translation is empty"),
        Kept(37, "%d file", "its translation lacks %d"),
        Kept(45, 'last\t"quoted"', "its translation is empty"),
    )
    assert opened.to_bytes() == (tmp_path / "messages.po").read_bytes()


def test_nothing_is_asked_about_messages_without_words(tmp_path: Path) -> None:
    opened = catalogue(tmp_path, 'msgid "%s: {0}"\nmsgstr ""\n\nmsgid "a"\nmsgid_plural "b"\nmsgstr[0] ""\n')

    def translate(texts: Sequence[str]) -> Iterator[Sequence[str]]:
        assert list(texts) == []
        return iter(())

    done = fill_catalogue(opened, translate)
    assert done.filled == 1
    assert done.kept == (Kept(4, "a", "the header has no Plural-Forms"),)
    assert b'msgstr "%s: {0}"' in opened.to_bytes()
