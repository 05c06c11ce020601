"""gettext catalogues: both forms agree with each other and with polib, with all their quirks."""

from __future__ import annotations

import gettext
import io
import os
import struct
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.readers import read_gettext
from xformer.data.readers.catalogue import Message, parse_mo, parse_po
from xformer.data.record import content_group
from xformer.errors import InputError

GERMAN = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
ARABIC = (
    "Content-Type: text/plain; charset=UTF-8\nLanguage: ar\nPlural-Forms: nplurals=6; plural=n==0 ? 0 : "
    "n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 && n%100<=99 ? 4 : 5;\n"
)


def mo(*entries: tuple[str, str], header: str = GERMAN, order: str = "<", charset: str = "utf-8") -> bytes:
    """A compiled catalogue, as msgfmt makes it; ids and texts with their contexts and plurals."""
    pairs = [("", header), *entries]
    encoded = sorted((source.encode(charset), text.encode(charset)) for source, text in pairs)
    ids: list[int] = []
    texts: list[int] = []
    blob = b""
    start = 28 + 16 * len(encoded)
    for table, strings in ((ids, (source for source, _ in encoded)), (texts, (text for _, text in encoded))):
        for string in strings:
            table += [len(string), start + len(blob)]
            blob += string + b"\0"
    count = len(encoded)
    head = struct.pack(f"{order}7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 28 + 16 * count)
    return head + struct.pack(f"{order}{4 * count}I", *ids, *texts) + blob


PO = r"""# A translator's comment
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Language: de\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

#. extracted comment
#: app.py:3
msgid "Open"
msgstr "Öffnen"

#, python-format, fuzzy
msgid "Close"
msgstr "Schlissen"

#, fuzzy
#~ msgid "Gone"
#~ msgstr "Weg"
msgctxt "menu"
msgid ""
"Two "
"lines\n"
msgstr "Zwei\tZeilen \"\\\"\n"
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"

msgid "empty"
msgstr ""

msgid "same"
msgstr "same"
"""


@pytest.fixture
def german(write: Any) -> Path:
    path: Path = write("de.po", PO)
    return path


def test_what_a_po_file_holds(german: Path, brief: Any) -> None:
    assert brief(read_gettext([german])) == [
        ("en", "Open"),
        ("de", "Öffnen"),
        ("en", "Two lines\n"),
        ("de", 'Zwei\tZeilen "\\"\n'),
        ("en", "%d file"),
        ("en", "%d files"),
        ("de", "%d Datei"),
        ("de", "%d Dateien"),
    ]


def test_records_say_where_they_are_from(german: Path) -> None:
    records = list(read_gettext([german]))
    assert records[1].source.endswith("de.po:10")
    assert records[0].group == records[1].group == content_group("Open")
    assert len({record.group for record in records[4:]}) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_mo_files_of_both_byte_orders(write: Any, brief: Any, order: str) -> None:
    data = mo(("menu\x04Open", "Öffnen"), ("%d file\0%d files", "%d Datei\0%d Dateien"), order=order)
    path = write("locale/de/LC_MESSAGES/app.mo", data)
    assert brief(read_gettext([path])) == [
        ("en", "%d file"),
        ("en", "%d files"),
        ("de", "%d Datei"),
        ("de", "%d Dateien"),
        ("en", "Open"),
        ("de", "Öffnen"),
    ]


def test_a_context_ends_at_its_first_mark() -> None:
    read = list(parse_mo(mo(("menu\x04Open\x04", "Öffnen"), ("\x04Shut", "Zu")), "x.mo"))
    assert [(message.context, message.ids[0]) for message in read] == [
        (None, ""),
        ("", "Shut"),
        ("menu", "Open\x04"),
    ]


def test_of_what_is_not_wanted_the_character_set_is_checked() -> None:
    def wanted(source: bytes) -> bool:
        return b"b" in source

    read = list(parse_mo(mo(("a", "ä"), ("b", "ö")), "x.mo", wanted))
    assert [(message.ids, message.texts) for message in read] == [(("b",), ("ö",))]
    with pytest.raises(InputError, match=r"x\.mo: message 2 of 3 is not utf-8"):
        list(parse_mo(mo(("a", "ä"), ("b", "o"), charset="latin-1"), "x.mo", wanted))


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x04"), min_size=1)
CONTEXTS = st.none() | st.text("menu ")


@settings(max_examples=50)
@given(st.dictionaries(TEXTS, TEXTS))
def test_mo_files_read_as_the_standard_library_reads_them(entries: dict[str, str]) -> None:
    data = mo(*entries.items())
    ours = {message.ids[0]: message.texts[0] for message in parse_mo(data, "x.mo")}
    theirs = gettext.GNUTranslations(io.BytesIO(data))
    assert ours.keys() == {"", *entries}
    assert all(ours[source] == theirs.gettext(source) for source in entries)


@settings(max_examples=40)
@given(st.lists(st.tuples(CONTEXTS, TEXTS, TEXTS, st.booleans()), unique_by=lambda entry: entry[:2]))
def test_po_files_that_polib_writes(entries: list[tuple[str | None, str, str, bool]]) -> None:
    polib = pytest.importorskip("polib", reason="polib, which writes these files, is not installed")
    catalogue = polib.POFile(wrapwidth=20)
    catalogue.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    for context, source, text, fuzzy in entries:
        flags = ["fuzzy"] if fuzzy else []
        catalogue.append(polib.POEntry(msgctxt=context, msgid=source, msgstr=text, flags=flags))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.po")
        catalogue.save(path)
        read = [message for message in parse_po(Path(path).read_bytes(), path) if message.ids[0]]
    expected = [((source,), (text,), fuzzy) for _, source, text, fuzzy in entries]
    assert [(message.ids, message.texts, message.fuzzy) for message in read] == expected


def test_the_forms_for_one_and_for_many_are_chosen_by_the_rule(write: Any, brief: Any) -> None:
    forms = "\0".join(["zero", "one", "two", "few", "many", "other"])
    path = write("ar.mo", mo(("file\0files", forms), header=ARABIC))
    assert brief(read_gettext([path]))[2:] == [("ar", "one"), ("ar", "other")]


def test_a_language_without_plurals_has_one_form(write: Any, brief: Any) -> None:
    header = GERMAN.replace("nplurals=2; plural=(n != 1)", "nplurals=1; plural=0")
    path = write("ja.mo", mo(("file\0files", "ファイル"), header=header))
    assert brief(read_gettext([path])) == [("en", "file"), ("en", "files"), ("ja", "ファイル")]


def test_an_untranslated_plural_is_no_translation(write: Any, brief: Any) -> None:
    header = GERMAN.replace("nplurals=2; plural=(n != 1)", "nplurals=1; plural=0")
    assert brief(read_gettext([write("ja.mo", mo(("file\0files", "file"), header=header))])) == []


def test_the_same_source_is_one_group_and_one_english_record(write: Any) -> None:
    first = write("a/de/LC_MESSAGES/a.mo", mo(("Open", "Öffnen")))
    second = write("b/fr/LC_MESSAGES/b.mo", mo(("menu\x04Open", "Ouvrir")))
    records = list(read_gettext([first, second]))
    assert [record.text for record in records] == ["Open", "Öffnen", "Ouvrir"]
    assert len({record.group for record in records}) == 1


def test_a_plural_that_is_a_message_elsewhere_joins_the_groups(write: Any) -> None:
    first = write("de.mo", mo(("entries", "Einträge"), ("entry", "Eintrag")))
    second = write("fr.mo", mo(("entry\0entries", "entrée\0entrées")))
    for paths in ([first, second], [second, first]):
        records = list(read_gettext(paths))
        assert len({record.group for record in records}) == 1
        assert sorted(record.text for record in records if record.language == "en") == ["entries", "entry"]


def test_the_compiled_form_is_preferred_and_read_once(write: Any, tmp_path: Path, brief: Any) -> None:
    write("locale/de/LC_MESSAGES/a.mo", mo(("Open", "Öffnen")))
    write("locale/de/LC_MESSAGES/a.po", PO)
    write("locale/fr/LC_MESSAGES/a.po", 'msgid "Open"\nmsgstr "Ouvrir"\n')
    expected = [("en", "Open"), ("de", "Öffnen"), ("fr", "Ouvrir")]
    records = list(read_gettext([tmp_path / "locale"]))
    assert brief(records) == expected
    assert records[1].source == "locale:de/LC_MESSAGES/a.mo"
    archive = tmp_path / "app-1.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        for file in (tmp_path / "locale").rglob("*.*o"):
            wheel.write(file, file.relative_to(tmp_path))
    records = list(read_gettext([archive]))
    assert brief(records) == expected
    assert records[1].source == "app-1.whl:locale/de/LC_MESSAGES/a.mo"


ENTRY = 'msgid "Open"\nmsgstr "X"\n'
HEADER = 'msgid ""\nmsgstr "Language: pt_BR\\n"\n'


@pytest.mark.parametrize(
    ("name", "content", "options", "tag"),
    [
        ("zh_CN.GB2312/LC_MESSAGES/a.po", ENTRY, {}, "zh-CN"),
        ("messages.po", HEADER + ENTRY, {}, "pt-BR"),
        ("de_AT.po", ENTRY, {}, "de-AT"),
        ("messages.po", ENTRY, {"language": "fr"}, "fr"),
        ("messages.po", HEADER + ENTRY, {"rename": {"pt-BR": "pt"}}, "pt"),
    ],
)
def test_where_the_language_comes_from(
    write: Any, brief: Any, name: str, content: str, options: dict[str, Any], tag: str
) -> None:
    assert brief(read_gettext([write(name, content)], **options))[1:] == [(tag, "X")]


def test_the_language_of_a_file_at_the_top_of_a_zip(tmp_path: Path, brief: Any) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("de.po", ENTRY)
    assert brief(read_gettext([tmp_path / "all.zip"])) == [("en", "Open"), ("de", "X")]


def test_languages_to_skip(write: Any) -> None:
    assert list(read_gettext([write("de.po", ENTRY)], skip=lambda language: language == "de")) == []


def test_source_messages_that_are_keys_or_another_language(write: Any, brief: Any) -> None:
    english = write("en.po", 'msgid "home.title"\nmsgstr "Welcome"\n')
    german = write("de.po", 'msgid "home.title"\nmsgstr "Willkommen"\n')
    keys = read_gettext([english, german], source_language=None)
    assert brief(keys) == [("en", "Welcome"), ("de", "Willkommen")]
    assert brief(read_gettext([english])) == [("en", "Welcome")]
    assert brief(read_gettext([german], source_language="fr"))[0] == ("fr", "home.title")


def test_the_character_set_is_the_header_s(write: Any, brief: Any) -> None:
    header = "Content-Type: text/plain; charset=ISO-8859-1\n"
    compiled = write("de.mo", mo(("Open", "Öffnen"), header=header, charset="latin-1"))
    assert brief(read_gettext([compiled]))[1] == ("de", "Öffnen")
    source = f'msgid ""\nmsgstr "{header[:-1]}\\n"\n\nmsgid "Open"\nmsgstr "Öffnen"\n'
    assert brief(read_gettext([write("de.po", source.encode("latin-1"))]))[1] == ("de", "Öffnen")


def test_windows_line_ends_marks_and_templates(write: Any) -> None:
    data = b"\xef\xbb\xbf" + PO.replace("UTF-8", "CHARSET").replace("\n", "\r\n").encode()
    assert list(parse_po(data, "x")) == list(parse_po(PO.replace("UTF-8", "CHARSET").encode(), "x"))
    assert list(parse_po(b"", "x")) == []
    assert next(parse_po(b'#, fuzzy\nmsgid ""\nmsgstr "Language: de\\n"\n', "x")) == Message(
        ("",), ("Language: de\n",), 2
    )


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        ('msgid "a"\nmsgstr "b\n', (":2:", 'a "string"')),
        ('msgid "a"\nmsgstr "b" c\n', (":2:", "expected msgid")),
        ('"floating"\n', (":1:", "expected msgid")),
        ("hello\n", (":1:", "hello")),
        ('msgid "a"\n\nmsgid "b"\nmsgstr "c"\n', (":3:", "second msgid", "line 1")),
        ('\n\nmsgid "a"\n', (":3:", "no msgstr")),
        ('msgstr "a"\n', (":1:", "no msgid")),
        ('msgid "a"\nmsgstr "\\q"\n', (":2:", "escape")),
        ('msgid "a"\nmsgstr "\xe4"\n'.encode("latin-1"), (":2:", "utf-8")),
        ('msgid ""\nmsgstr "Content-Type: text/plain; charset=klingon\\n"\n', ("klingon", "character set")),
        ('msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=n+;\\n"\n', ("Plural-Forms",)),
        ('msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=1/0;\\n"\n', ("Plural-Forms",)),
        ('msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=__import__(1);\\n"\n', ("Plural-Forms",)),
    ],
)
def test_broken_po_files(write: Any, refused: Any, content: str | bytes, pieces: tuple[str, ...]) -> None:
    path = write("de.po", content)
    with refused(path, *pieces):
        list(read_gettext([path]))


@pytest.mark.parametrize(
    ("data", "pieces"),
    [
        (b"", ("expected a gettext .mo file",)),
        (b"PK\x03\x04" + bytes(40), ("expected a gettext .mo file", "50 4b 03 04")),
        (mo(("Open", "Öffnen"))[:40], ("truncated", "tables of 2 messages")),
        (mo(("Open", "Öffnen"))[:-4], ("truncated", "message 2 of 2")),
        (mo(("Open", "\u00e4"), header="Content-Type: a; charset=ascii\n"), ("message 2 of 2", "ascii")),
        (struct.pack("<7I", 0x950412DE, 2 << 16, 0, 28, 28, 0, 28), ("format 0 or 1, got 2",)),
    ],
)
def test_broken_mo_files(write: Any, refused: Any, data: bytes, pieces: tuple[str, ...]) -> None:
    path = write("de.mo", data)
    with refused(path, *pieces):
        list(read_gettext([path]))


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_gives_messages_or_an_input_error(place: int, value: int) -> None:
    data = bytearray(mo(("Open", "Öffnen"), ("%d file\0%d files", "%d Datei\0%d Dateien")))
    data[place % len(data)] = value
    with suppress(InputError):
        list(parse_mo(bytes(data), "x.mo"))


def test_catalogues_that_are_not_there(write: Any, refused: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with refused(tmp_path / "empty", "found none"):
        list(read_gettext([tmp_path / "empty"]))
    with refused("nowhere.mo", "no such file"):
        list(read_gettext([tmp_path / "nowhere.mo"]))
    with refused("page.whl", "not a valid"):
        list(read_gettext([write("page.whl", "<html>not found</html>")]))
    with zipfile.ZipFile(tmp_path / "no.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    with refused("no.zip", "found none"):
        list(read_gettext([tmp_path / "no.zip"]))
    with refused("django.po", "nothing gives the language"):
        list(read_gettext([write("django.po", 'msgid "a"\nmsgstr "b"\n')]))
    with refused("x!y", "language tag"):
        list(read_gettext([write("x!y/LC_MESSAGES/a.po", 'msgid "a"\nmsgstr "b"\n')]))
