"""The tables of compiled catalogues, written by hand here; test_msgunfmt.py reads those of msgfmt."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.readers.mo_file import mo_strings
from xformer.errors import InputError

LAST = 0xFFFFFFFF
Piece = tuple[bytes, int]

HEADER = b"Content-Type: text/plain; charset=UTF-8\n"
# "read %<PRIu64> bytes" with a translation that begins with it, and a plain message with "%Id".
NAMES = [b"PRIu64\0", b"I\0"]
COMPOSED: list[tuple[list[Piece], list[Piece]]] = [
    ([(b"read %", 0), (b" bytes\0", LAST)], [(b"%", 0), (b" Byte gelesen\0", LAST)]),
    ([(b"%d of %d\0", LAST)], [(b"%", 1), (b"d von %", 1), (b"d\0", LAST)]),
]
EXPECTED = [
    (b"", HEADER),
    (b"read %<PRIu64> bytes", b"%<PRIu64> Byte gelesen"),
    (b"%d of %d", b"%Id von %Id"),
]


def composed(
    order: str = "<", revision: int = 1, names: Sequence[bytes] = NAMES, at_end: bytes = b"\0"
) -> bytes:
    """A catalogue of format 0.1 with a header and the composed messages."""
    blob = bytearray(48)

    def put(content: bytes) -> int:
        place = len(blob)
        blob.extend(content)
        return place

    def numbers(*values: int) -> bytes:
        return struct.pack(f"{order}{len(values)}I", *values)

    def string(pieces: list[Piece]) -> int:
        text = put(b"".join(piece for piece, _ in pieces))
        blob.extend(b"\0" * (-len(blob) % 4))
        return put(numbers(text, *(value for piece, name in pieces for value in (len(piece), name))))

    empty, header = put(b"\0"), put(HEADER + b"\0")
    places = [put(name) for name in names]
    ids, texts = [string(source) for source, _ in COMPOSED], [string(text) for _, text in COMPOSED]
    table = [value for name, place in zip(names, places, strict=True) for value in (len(name), place)]
    tables = [put(numbers(0, empty)), put(numbers(len(HEADER), header)), put(numbers(*table))]
    at = [*tables, put(numbers(*ids)), put(numbers(*texts))]
    blob[:48] = numbers(
        0x950412DE, revision, 1, at[0], at[1], 0, 0, len(names), at[2], len(COMPOSED), at[3], at[4]
    )
    return bytes(blob) + at_end


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("revision", [1, 0x10001])
def test_composed_strings_are_written_as_in_a_source_catalogue(order: str, revision: int) -> None:
    assert list(mo_strings(composed(order, revision), "x.mo")) == EXPECTED


def test_format_0_has_no_second_pair_of_tables() -> None:
    assert list(mo_strings(composed(revision=0), "x.mo")) == EXPECTED[:1]


def test_damaged_tables_are_named() -> None:
    with pytest.raises(InputError, match=r"x\.mo: damaged: byte \d+ names string 2 of 1"):
        list(mo_strings(composed(names=NAMES[:1]), "x.mo"))
    with pytest.raises(InputError, match=r"x\.mo: truncated: expected 2 numbers at byte \d+"):
        list(mo_strings(composed(at_end=b"")[:-4], "x.mo"))
    with pytest.raises(InputError, match=r"x\.mo: truncated: 40 bytes do not hold the header of format 0\.1"):
        list(mo_strings(struct.pack("<10I", 0x950412DE, 1, *[0] * 8), "x.mo"))


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_gives_strings_or_an_input_error(place: int, value: int) -> None:
    data = bytearray(composed())
    data[place % len(data)] = value
    with suppress(InputError):
        list(mo_strings(bytes(data), "x.mo"))
