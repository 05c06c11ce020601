"""Help pages of Mallard: the blocks of each language beside those of the English page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.embedded.packing import deb
from xformer.data.embedded.help_pages import read_help_pages
from xformer.data.import_notes import ImportNotes
from xformer.errors import InputError

PAGE = """<page xmlns="http://projectmallard.org/1.0/" id="door"><info><link type="guide" xref="house"/>
<credit type="author"><name>Some One</name></credit><desc>{desc}</desc></info>
<title>{title}</title><p>{first}
  <gui>{word}</gui>.</p><steps><item><p>{step}</p></item><item><p><link xref="a"/>{linked}</p></item></steps>
<screen>$ ls</screen><p>{shown} <media><p>nothing</p></media></p></page>
"""
ENGLISH = PAGE.format(
    desc="About doors.",
    title="Open a door",
    first="Press",
    word="Open",
    step="Wait.",
    linked="See",
    shown="It",
)
GERMAN = PAGE.replace(
    "</info>", '<mal:credit xmlns:mal="x"><mal:name>Wer</mal:name></mal:credit></info>'
).format(
    desc="Über Türen.", title="Open a door", first="Auf", word="Öffnen", step=" ", linked="Siehe", shown="Es"
)
ROOT = "usr/share/help"


def read(folder: Path, files: dict[str, str], notes: ImportNotes | None = None) -> list[tuple[str, str, str]]:
    (folder / "help_1.0_all.deb").write_bytes(deb(files))
    found = read_help_pages([folder / "help_1.0_all.deb"], notes)
    return [(record.language, record.text, record.group) for record in found]


def test_blocks_are_groups(tmp_path: Path) -> None:
    notes = ImportNotes()
    files = {
        f"{ROOT}/C/guide/door.page": ENGLISH,
        f"{ROOT}/C/guide/alone.page": ENGLISH,
        f"{ROOT}/de/guide/door.page": GERMAN,
        f"{ROOT}/pt_BR/guide/door.page": ENGLISH.replace("Wait.", "Espere."),
        f"{ROOT}/fr/guide/other.page": GERMAN,
        f"{ROOT}/de/guide/legal.xml": "x",
    }
    found = read(tmp_path, files, notes)
    assert [(language, text) for language, text, _ in found] == [
        ("en", "About doors."),
        ("de", "Über Türen."),
        ("en", "Press Open."),
        ("de", "Auf Öffnen."),
        ("en", "Wait."),
        ("pt-BR", "Espere."),
    ]
    groups = [group for _, _, group in found]
    assert groups[::2] == groups[1::2]
    assert len(set(groups)) == 3
    assert {reason: dict(counts) for reason, counts in notes.left_out.items()} == {
        "same as the original": {"de": 1, "pt-BR": 3},
        "no text": {"de": 1},
    }


def test_an_english_block_is_one_record_in_all_pages(tmp_path: Path) -> None:
    files = {f"{ROOT}/{folder}.page": page for folder, page in (("C/a", ENGLISH), ("C/b", ENGLISH))}
    files |= {f"{ROOT}/{folder}.page": page for folder, page in (("de/a", GERMAN), ("de/b", GERMAN))}
    found = read(tmp_path, files)
    assert [text for language, text, _ in found if language == "en"] == ["About doors.", "Press Open."]
    assert len(found) == 2 + 2 * 2


def test_pages_that_do_not_fit_are_left_out_and_noted(tmp_path: Path) -> None:
    notes = ImportNotes()
    files = {
        f"{ROOT}/C/a.page": ENGLISH,
        f"{ROOT}/C/broken.page": "<page>",
        f"{ROOT}/de/broken.page": GERMAN,
        f"{ROOT}/cs/a.page": GERMAN.replace("<title>Open a door</title>", ""),
        f"{ROOT}/de/a.page": GERMAN.replace("</page>", ""),
        f"{ROOT}/1/a.page": GERMAN,
    }
    assert read(tmp_path, files, notes) == []
    assert {label.partition("help/")[2]: reason for label, reason in notes.not_read.items()} == {
        "C/broken.page": "1: not well-formed XML: no element found: line 1, column 6",
        "cs/a.page": "its blocks are not those of the English page",
        "de/a.page": "6: not well-formed XML: no element found: line 6, column 0",
        "1/a.page": "language tag: expected something like 'de' or 'pt-BR', got '1'",
    }


def test_without_english_pages(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected help pages in English"):
        read(tmp_path, {f"{ROOT}/de/a.page": GERMAN})
    with pytest.raises(InputError, match="expected help pages in it, found none"):
        read(tmp_path, {"usr/a.page": GERMAN})
