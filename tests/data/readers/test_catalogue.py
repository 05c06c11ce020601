"""Parsers of gettext catalogues: bytes and character sets, plural forms, contexts."""

from __future__ import annotations

from typing import Any

import pytest

from xformer.data.readers.catalogue import parse_po

TYPE = r"Content-Type: text/plain; charset={}\n"


def po(*lines: str, charset: str = "UTF-8", encoding: str = "utf-8") -> bytes:
    """A source catalogue with a header that names `charset`."""
    return "\n".join(['msgid ""', f'msgstr "{TYPE.format(charset)}"', "", *lines]).encode(encoding)


def texts(data: bytes) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {message.ids: message.texts for message in parse_po(data, "x.po") if message.ids[0]}


@pytest.mark.parametrize(
    ("escaped", "charset", "text"),
    [
        (r'"Petit caf\303\251"', "UTF-8", "Petit café"),
        (r'"\xc3\xa9"', "UTF-8", "é"),
        (r'"\303\226ffnen"', "UTF-8", "Öffnen"),
        ('"a\\303"\n"\\251b"', "UTF-8", "aéb"),  # a character divided between two strings
        (r'"ä\xE4\n\344"', "ISO-8859-1", "ää\nä"),
        (r'"\203\\\203e"', "Shift_JIS", "ソテ"),  # its second byte may be a backslash
        (r'"\1012\x41"', "UTF-8", "A2A"),
        (r'"\x000000041"', "UTF-8", "A"),  # as in C, all digits belong to it
    ],
)
def test_escapes_are_bytes_of_the_file_s_character_set(escaped: str, charset: str, text: str) -> None:
    data = po('msgid "x"', f"msgstr {escaped}", charset=charset, encoding=charset)
    assert texts(data) == {("x",): (text,)}


def test_escaped_bytes_that_are_no_character(write: Any, refused: Any) -> None:
    with refused("x.po:4", "msgstr: expected utf-8"):
        list(parse_po(po('msgid "x"', r'msgstr "a\303"'), "x.po"))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"# was " + TYPE.format("ISO-8859-2").encode() + b"\n" + po('msgid "x"', 'msgstr "ő"'), "ő"),
        (
            'msgid ""\nmsgstr "Language: hu\\n"\n\nmsgid "x"\nmsgstr "ő"\n\n'
            f'msgid "y"\nmsgstr "{TYPE.format("ISO-8859-1")}"\n'.encode(),
            "ő",
        ),
        (
            'msgid ""\nmsgstr ""\n"Content-Type: text/plain; "\n"charset=ISO-8859-1\\n"\n\n'
            'msgid "x"\nmsgstr "ö"\n'.encode("latin-1"),
            "ö",
        ),
        (
            'msgid ""\nmsgstr ""\n"Content-Type: text/plain;\\n"\n" charset=ISO-8859-1\\n"\n\n'
            'msgid "x"\nmsgstr "ö"\n'.encode("latin-1"),
            "ö",
        ),
        (
            b'msgctxt "m"\nmsgid ""\nmsgstr "charset=ISO-8859-1"\n\nmsgid "x"\nmsgstr "\xc5\x91"\n',
            "ő",
        ),
        (b'#~ msgid ""\n#~ msgstr "charset=ISO-8859-1"\n\nmsgid "x"\nmsgstr "\xc5\x91"\n', "ő"),
        (b'msgid "x"\nmsgstr "\xf6"\n\nmsgid ""\nmsgstr "' + TYPE.format("latin1").encode() + b'"\n', "ö"),
        (b"# \xf5 in the old character set\n" + po('msgid "x"', 'msgstr "ő"'), "ő"),
    ],
)
def test_the_header_alone_names_the_character_set(data: bytes, text: str) -> None:
    assert texts(data)[("x",)] == (text,)


def test_plural_forms_are_taken_by_their_numbers(write: Any, refused: Any) -> None:
    forms = [f'msgstr[{number}] "{number}"' for number in range(11)]
    entry = ['msgid "%d file"', 'msgid_plural "%d files"']
    expected = {("%d file", "%d files"): tuple(map(str, range(11)))}
    assert texts(po(*entry, *reversed(forms))) == expected
    assert texts(po(*entry, 'msgstr [ 1 ] "b"', 'msgstr[0]"a"')) == {("%d file", "%d files"): ("a", "b")}
    for wrong in ([forms[1]], [forms[0], forms[2]], ['msgstr "a"', forms[0]]):
        with refused("x.po:4", "expected msgstr[0]", "got msgstr"):
            texts(po(*entry, *wrong))


def test_strings_of_one_line_and_of_the_next() -> None:
    assert texts(po('msgid "a" "b"', "msgstr", '"c"', '"d" "e"')) == {("ab",): ("cde",)}


def test_contexts_are_kept() -> None:
    read = list(parse_po(po('msgctxt "menu"', 'msgid "Open"', 'msgstr "Öffnen"'), "x.po"))
    assert [message.context for message in read] == [None, "menu"]
