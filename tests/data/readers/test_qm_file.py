"""Compiled Qt catalogues, written here byte by byte: messages, plural rules, and damage."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.readers.qm_file import QmFile, QmMessage
from xformer.errors import InputError

MAGIC = bytes.fromhex("3cb86418caef9c95cd211cbf60a1bddd")
# As Qt's rules have them: Czech (one, 2 to 4, other), Polish, Latvian, English.
CZECH = bytes([0x01, 1, 0xFF, 0x04, 2, 4])
POLISH = bytes([0x01, 1, 0xFF, 0x14, 2, 4, 0xFD, 0x2C, 10, 19])
ENGLISH = bytes([0x01, 1])


def _field(tag: int, text: str | None, charset: str) -> bytes:
    if text is None:
        return struct.pack(">BI", tag, 0xFFFFFFFF)
    raw = text.encode(charset)
    return struct.pack(">BI", tag, len(raw)) + raw


def _section(tag: int, data: bytes) -> bytes:
    return struct.pack(">BI", tag, len(data)) + data


def qm_bytes(messages: Sequence[QmMessage], rules: bytes = b"", language: str | None = None) -> bytes:
    """A catalogue with these messages."""
    table, body = b"", b""
    for message in messages:
        table += struct.pack(">II", message.hash, len(body))
        body += b"".join(_field(3, text, "utf-16-be") for text in message.texts)
        for tag, text in ((8, message.comment), (6, message.source), (7, message.context)):
            body += b"" if text is None else _field(tag, text, "utf-8")
        body += b"\x05" + struct.pack(">I", message.hash) + b"\x01"
    head = b"" if language is None else _section(0xA7, language.encode())
    numerus = _section(0x88, rules) if rules else b""
    return MAGIC + head + _section(0x42, table) + _section(0x69, body) + numerus + _section(0x96, b"")


TEXTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=9)
MESSAGES = st.builds(
    QmMessage,
    st.integers(0, 2**32 - 1),
    TEXTS,
    TEXTS,
    TEXTS,
    st.lists(TEXTS, max_size=3).map(tuple),
)


@given(st.lists(MESSAGES, max_size=4), st.sampled_from([None, "de", "zh_TW"]))
def test_messages_are_read_as_they_were_written(messages: list[QmMessage], language: str | None) -> None:
    file = QmFile.parse(qm_bytes(messages, language=language), "a.qm")
    assert list(file.messages()) == messages
    assert file.language == language


@pytest.mark.parametrize(
    ("rules", "forms"),
    [
        (b"", dict.fromkeys([1, 2, 100])),
        (ENGLISH, {0: 1, 1: 0, 2: 1, 100: 1}),
        (CZECH, {0: 2, 1: 0, 2: 1, 4: 1, 5: 2, 100: 2}),
        (POLISH, {1: 0, 2: 1, 12: 2, 22: 1, 5: 2, 112: 2}),
        (bytes([0x11, 1, 0xFD, 0x29, 11, 0xFF, 0x09, 0]), {1: 0, 11: 1, 21: 0, 100: 1, 0: 2}),  # Latvian
        (bytes([0x01, 1, 0xFE, 0x01, 11, 0xFF, 0x01, 2, 0xFE, 0x01, 12]), {1: 0, 11: 0, 12: 1, 3: 2}),
        (bytes([0x03, 1, 0xFF, 0x41, 1, 0xFF, 0x02, 5]), {0: 0, 1: 0, 1000: 1, 4: 2, 7: 3}),
        (bytes([0x04, 0xFD, 0xFF]), {254: 0, 3: 1}),  # bounds that look like what joins comparisons
    ],
)
def test_plural_forms_follow_the_rules(rules: bytes, forms: dict[int, int | None]) -> None:
    file = QmFile.parse(qm_bytes([], rules), "a.qm")
    assert {n: file.plural_form(n) for n in forms} == forms


def test_old_fields_are_read_and_skipped() -> None:
    """Qt 3 wrote sources and contexts in UTF-16, Qt 4 in Latin-1, and both an end of the file."""
    wide = _field(2, "Straße", "utf-16-be") + _field(4, "Fenster", "utf-16-be") + b"\x09\x07"
    narrow = _field(6, "Straße", "latin-1") + _field(2, None, "utf-8")
    body = (
        wide + _field(3, "street", "utf-16-be") + b"\x01" + narrow + _field(3, "road", "utf-16-be") + b"\x01"
    )
    table = struct.pack(">IIII", 7, 0, 8, len(wide) + len(_field(3, "street", "utf-16-be")) + 1)
    data = MAGIC + _section(0x42, table) + _section(0x69, body) + b"\0"
    assert list(QmFile.parse(data, "a.qm").messages()) == [
        QmMessage(7, "Straße", "Fenster", None, ("street",)),
        QmMessage(8, "Straße", None, None, ("road",)),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "expected a Qt .qm file"),
        (b"\xde\x12\x04\x95" * 9, "expected a Qt .qm file, this begins with de 12 04 95"),
        (MAGIC + b"\x42\0", "expected the head of a section at byte 16"),
        (MAGIC + b"\x42\0\0\0\x09", "section 0x42 of 9 bytes at byte 21 ends after the file"),
        (MAGIC + _section(0x42, b"123"), "the table of messages has 3 bytes"),
        (MAGIC + _section(0x42, bytes(8)), "the message at byte 0 ends after its section"),
        (MAGIC + _section(0x42, b"\xff" * 8) + _section(0x69, b"\x01"), "ends after its section"),
        (MAGIC + _section(0x42, bytes(8)) + _section(0x69, b"\x0c\x01"), "unknown field 12"),
        (
            MAGIC + _section(0x42, bytes(8)) + _section(0x69, b"\x03\xff\xff\xff\x00\0a\x01"),
            "ends after its section",
        ),
        (MAGIC + _section(0x42, bytes(8)) + _section(0x69, b"\x03\0\0"), "ends after its section"),
        (
            MAGIC + _section(0x42, bytes(8)) + _section(0x69, _field(3, "a", "utf-8") + b"\x01"),
            "is not utf-16-be",
        ),
        (MAGIC + _section(0x88, b"\x04\x01"), "end within a comparison"),
    ],
)
def test_damage_is_refused(data: bytes, reason: str, refused: Any) -> None:
    with refused("a.qm: ", reason):
        file = QmFile.parse(data, "a.qm")
        list(file.messages())
        file.plural_form(1)


@given(st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(qm_bytes([QmMessage(5, "one", "Window", "x", ("eins", "viele"))], CZECH, "de"))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with suppress(InputError):
        file = QmFile.parse(bytes(whole[:cut]), "a.qm")
        list(file.messages())
        file.plural_form(100)
        assert file.language is None or isinstance(file.language, str)
