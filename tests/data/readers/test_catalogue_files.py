"""Trees of gettext catalogues, as /usr/share/locale is one: languages, what to leave out, damage."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.data.embedded.packing import deb, tar
from xformer.data.import_notes import ImportNotes
from xformer.data.readers import read_gettext
from xformer.data.readers.catalogue_files import catalogue_files

OPEN = 'msgid "Open"\nmsgstr "{}"\n'


def test_locales_with_modifiers(write: Any, tmp_path: Path, brief: Any) -> None:
    folders = {
        "sr@ijekavian": "sr-ijekavsk", "sr@ijekavianlatin": "sr-Latn-ijekavsk", "sd@devanagari": "sd-Deva",
        "ca@valencia": "ca-valencia", "zh_CN.GB2312": "zh-CN", "de_AT.UTF-8@euro": "de-AT",
    }  # fmt: skip
    for folder in folders:
        write(f"locale/{folder}/LC_MESSAGES/a.po", OPEN.format(folder))
    read = dict(brief(read_gettext([tmp_path / "locale"])))
    assert read == {"en": "Open"} | {tag: folder for folder, tag in folders.items()}


def test_a_bad_catalogue_of_a_folder_is_named_and_the_others_are_read(
    write: Any, tmp_path: Path, brief: Any
) -> None:
    write("locale/de/LC_MESSAGES/good.po", OPEN.format("Öffnen"))
    write("locale/de/LC_MESSAGES/bad.mo", b"PK")
    write("locale/x-test/LC_MESSAGES/a.po", OPEN.format("xxOpenxx"))
    write("locale/fr/LC_MESSAGES/half.po", OPEN.format("Ouvrir") + 'msgid "Close\n')
    write("locale/pl/LC_MESSAGES/rule.po", 'msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=n+;\\n"\n')
    write("locale/all/messages.po", OPEN.format("?"))
    write("locale/empty.po", "")
    notes = ImportNotes()
    assert brief(read_gettext([tmp_path / "locale"], notes=notes)) == [("en", "Open"), ("de", "Öffnen")]
    assert {file: reason[:20] for file, reason in notes.not_read.items()} == {
        "locale:all/messages.po": "nothing gives the la",
        "locale:de/LC_MESSAGES/bad.mo": "expected a gettext .",
        "locale:fr/LC_MESSAGES/half.po": "3: expected msgid, m",
        "locale:pl/LC_MESSAGES/rule.po": "header field Plural-",
        "locale:x-test/LC_MESSAGES/a.po": "language tag: expect",
    }


def test_a_bad_catalogue_of_an_archive_is_named(tmp_path: Path, brief: Any) -> None:
    with zipfile.ZipFile(tmp_path / "app.whl", "w") as archive:
        archive.writestr("app/de/LC_MESSAGES/a.po", OPEN.format("Öffnen"))
        archive.writestr("app/fr/LC_MESSAGES/a.mo", b"")
    notes = ImportNotes()
    assert brief(read_gettext([tmp_path / "app.whl"], notes=notes)) == [("en", "Open"), ("de", "Öffnen")]
    assert list(notes.not_read) == ["app.whl:app/fr/LC_MESSAGES/a.mo"]


@pytest.mark.parametrize("name", ["game_1.0_all.deb", "game-1.0.tar.gz"])
def test_catalogues_in_other_archives(name: str, tmp_path: Path, brief: Any, refused: Any) -> None:
    files = {"usr/share/locale/de/LC_MESSAGES/a.po": OPEN.format("Öffnen"), "usr/share/doc/de.txt": "nichts"}
    pack = deb if name.endswith(".deb") else tar
    (tmp_path / name).write_bytes(pack(files))
    records = list(read_gettext([tmp_path / name]))
    assert brief(records) == [("en", "Open"), ("de", "Öffnen")]
    assert records[1].source.startswith(f"{name}:usr/share/locale/de/LC_MESSAGES/a.po")
    (tmp_path / name).write_bytes(pack({"readme": ""}))
    with refused(name, "found none"):
        list(read_gettext([tmp_path / name]))


def test_a_file_of_another_kind(write: Any, refused: Any) -> None:
    with refused("de.txt", "expected a catalogue (.mo, .po), or a folder, a zip, a tar or a .deb"):
        list(read_gettext([write("de.txt", OPEN.format("Öffnen"))]))


def test_what_the_user_names_must_be_readable(write: Any, tmp_path: Path, refused: Any) -> None:
    good = write("locale/de/LC_MESSAGES/good.po", OPEN.format("Öffnen"))
    bad = write("bad/de/LC_MESSAGES/bad.mo", b"PK")
    with refused(bad, "expected a gettext .mo file"):
        list(read_gettext([good, bad]))
    with refused(
        "none of 1 catalogues can be read", "bad:de/LC_MESSAGES/bad.mo", "expected a gettext .mo file"
    ):
        list(read_gettext([tmp_path / "bad"]))


@pytest.mark.parametrize("locale", ["en@quot", "en@boldquot", "en_US@quot", "en.UTF-8@boldquot"])
def test_english_in_other_quotation_marks_is_left_out(
    write: Any, tmp_path: Path, brief: Any, locale: str
) -> None:
    write(f"locale/{locale}/LC_MESSAGES/a.po", 'msgid "say \'x\'"\nmsgstr "say ‘x’"\n')
    write("locale/en_GB/LC_MESSAGES/a.po", 'msgid "Color"\nmsgstr "Colour"\n')
    write("locale/en@shaw/LC_MESSAGES/a.po", 'msgid "Color"\nmsgstr "𐑒𐑳𐑤𐑼"\n')
    notes = ImportNotes()
    read = brief(read_gettext([tmp_path / "locale"], notes=notes))
    assert sorted(read) == [("en", "Color"), ("en-GB", "Colour"), ("en-Shaw", "𐑒𐑳𐑤𐑼")]
    assert notes.left_out["English in other quotation marks"].total() == 1


def test_the_header_can_say_that_it_is_quoted_english(write: Any, brief: Any) -> None:
    path = write("a.po", 'msgid ""\nmsgstr "Language: en@quot\\n"\n\nmsgid "\'x\'"\nmsgstr "‘x’"\n')
    assert brief(read_gettext([path])) == []


@pytest.mark.parametrize(
    ("context", "key"),
    [
        (None, "translator-credits"),
        (None, "translator_credits"),
        (None, "Your names"),
        ("NAME OF TRANSLATORS", "Your names"),
        ("EMAIL OF TRANSLATORS", "Your emails"),
        (None, "EMAIL OF TRANSLATORS"),
        (None, "_: NAME OF TRANSLATORS\\nYour names"),
        ("ROLES OF TRANSLATORS", "Your roles"),
    ],
)
def test_people_s_names_and_addresses_are_no_translations(
    write: Any, brief: Any, context: str | None, key: str
) -> None:
    before = f'msgctxt "{context}"\n' if context else ""
    entries = (
        f'{before}msgid "{key}"\nmsgstr "Jo Doe <jo@example.org>"\n\nmsgid "Your name"\nmsgstr "Ihr Name"\n'
    )
    notes = ImportNotes()
    assert brief(read_gettext([write("de.po", entries)], notes=notes)) == [
        ("en", "Your name"),
        ("de", "Ihr Name"),
    ]
    assert notes.left_out["names of translators"] == {"de": 1}


def test_the_catalogues_of_a_folder(write: Any, tmp_path: Path) -> None:
    wanted = [write(f"x/{name}", b"") for name in ("b/a.po", "c.mo", "d.mo")]
    write("x/c.po", b"")
    write("x/readme.txt", b"")
    (tmp_path / "x" / "folder.mo").mkdir()
    assert catalogue_files(tmp_path / "x") == wanted
