"""Nothing but `msgstr` and the mark `fuzzy` changes in a filled catalogue."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import polib
import pytest

from xformer.errors import InputError
from xformer.localization.catalogue import Catalogue

CATALOGUE = r"""# A translator <a@example.org>
#
msgid ""
msgstr ""
"Project-Id-Version: x\n"
"Language: ru\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && "
"(n%100<10 || n%100>=20) ? 1 : 2);\n"

#: a.py:1
msgid "done"
msgstr   "готово"

# a comment, and odd spaces
#: a.py:2
#, python-format
#| msgid "earlier %s"
msgctxt "menu"
msgid "open %s"
msgstr ""

#: a.py:3
#| msgid "earlier"
msgid ""
"two\n"
"lines\n"
msgstr ""
""

#, fuzzy
msgid "guess"
msgstr "догадка"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""
msgstr[2] ""
#~ msgid "gone"
#~ msgstr ""

msgid "last\t\"quoted\""
msgstr ""
"""


@pytest.fixture(params=["\n", "\r\n"], ids=["lf", "crlf"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "messages.po"
    path.write_bytes(CATALOGUE.replace("\n", request.param).encode())
    return path


def test_untouched_it_is_the_same(path: Path) -> None:
    catalogue = Catalogue(path)
    assert catalogue.to_bytes() == path.read_bytes()
    assert catalogue.language == "ru"
    assert catalogue.counts() == {"translated": 1, "fuzzy": 1, "untranslated": 4}


def test_what_is_untranslated(path: Path) -> None:
    found = Catalogue(path).untranslated()
    assert [(m.context, m.text, m.plural, m.flags) for m in found] == [
        ("menu", "open %s", None, ("python-format",)),
        (None, "two\nlines\n", None, ()),
        (None, "%d file", "%d files", ()),
        (None, 'last\t"quoted"', None, ()),
    ]
    assert found[0].line == 17


def test_only_lines_of_msgstr_and_fuzzy_change(path: Path, tmp_path: Path) -> None:
    catalogue = Catalogue(path)
    forms = [["открыть %s"], ["две\nстроки\n"], ["%d файл", "%d файла", "%d файлов"], ['конец\t"так"']]
    for message, texts in zip(catalogue.untranslated(), forms, strict=True):
        catalogue.fill(message, texts)
    out = tmp_path / "out.po"
    catalogue.save(out)
    ending = "\r\n" if b"\r" in path.read_bytes() else "\n"
    expected = CATALOGUE
    for before, after in [
        ("#, python-format\n", "#, fuzzy, python-format\n"),
        ('msgid "open %s"\nmsgstr ""\n', 'msgid "open %s"\nmsgstr "открыть %s"\n'),
        ('#| msgid "earlier"\n', '#, fuzzy\n#| msgid "earlier"\n'),
        ('"lines\\n"\nmsgstr ""\n""\n', '"lines\\n"\nmsgstr ""\n"две\\n"\n"строки\\n"\n'),
        ('msgid "%d file"\n', '#, fuzzy\nmsgid "%d file"\n'),
        (
            'msgstr[0] ""\nmsgstr[1] ""\nmsgstr[2] ""\n',
            'msgstr[0] "%d файл"\nmsgstr[1] "%d файла"\nmsgstr[2] "%d файлов"\n',
        ),
        ('msgid "last', '#, fuzzy\nmsgid "last'),
    ]:
        assert expected.count(before) == 1, before
        expected = expected.replace(before, after)
    expected = expected.removesuffix('msgstr ""\n') + 'msgstr "конец\\t\\"так\\""\n'
    assert out.read_bytes().decode() == expected.replace("\n", ending)
    again = {entry.msgid: entry for entry in polib.pofile(str(out))}
    assert again["two\nlines\n"].msgstr == "две\nстроки\n"
    assert again["%d file"].msgstr_plural == {0: "%d файл", 1: "%d файла", 2: "%d файлов"}
    assert all(again[message.text].fuzzy for message in Catalogue(path).untranslated())


def test_gettext_reads_it(path: Path, tmp_path: Path) -> None:
    if (msgfmt := shutil.which("msgfmt")) is None:
        pytest.skip("needs msgfmt: apt-get install gettext")
    catalogue = Catalogue(path)
    for message in catalogue.untranslated():
        catalogue.fill(message, [message.plural or message.text] * (3 if message.plural else 1))
    out = tmp_path / "out.po"
    catalogue.save(out)
    done = subprocess.run(
        [msgfmt, "-c", "--use-fuzzy", "-o", tmp_path / "out.mo", out], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_without_a_last_line_break(tmp_path: Path) -> None:
    path = tmp_path / "a.po"
    path.write_text('msgid "a"\nmsgstr ""', encoding="utf-8")
    catalogue = Catalogue(path)
    (message,) = catalogue.untranslated()
    catalogue.fill(message, ["b"])
    assert catalogue.to_bytes() == b'#, fuzzy\nmsgid "a"\nmsgstr "b"'
    assert catalogue.plural_forms() is None


def test_another_charset_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.po"
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=ISO-8859-1\\n"\n\n'
    path.write_bytes((head + 'msgid "a"\nmsgstr "é"\n\nmsgid "b"\nmsgstr ""\n').encode("latin-1"))
    catalogue = Catalogue(path)
    (message,) = catalogue.untranslated()
    with pytest.raises(InputError, match=r"line 7: ISO-8859-1 has no 'я'; expected a catalogue in UTF-8"):
        catalogue.fill(message, ["я"])
    catalogue.fill(message, ["ü"])
    assert catalogue.to_bytes() == (
        head + 'msgid "a"\nmsgstr "é"\n\n#, fuzzy\nmsgid "b"\nmsgstr "ü"\n'
    ).encode("latin-1")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it has no msgid"),
        (b"just text\n", r"expected a gettext catalogue \(\.po\)"),
        (b'msgid "a"\nmsgstr "b" c"\n', r"expected a gettext catalogue \(\.po\)"),
        (
            b'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "\xff"\nmsgstr ""\n',
            "line 4",
        ),
    ],
)
def test_what_is_no_catalogue_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "a.po"
    path.write_bytes(data)
    with pytest.raises(InputError, match=says):
        Catalogue(path)


def test_a_missing_file_and_bad_plural_forms(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.po: expected a gettext catalogue"):
        Catalogue(tmp_path / "none.po")
    path = tmp_path / "a.po"
    path.write_text('msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=n;\\n"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.po: Plural-Forms: form 2 of the number 2"):
        Catalogue(path).plural_forms()
