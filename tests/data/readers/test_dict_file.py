"""DICT's index and text: base 64, dictzip, places in any order, and files that are broken."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.readers import dict_file
from xformer.data.readers.dict_file import DictFile

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
HEAD = (("00-database-utf8", "\n"), ("00-database-short", "00-database-short\nGerman-English Dictionary\n"))


def base64(number: int) -> str:
    """A number as the index has it."""
    return DIGITS[number] if number < 64 else base64(number // 64) + DIGITS[number % 64]


def dict_bytes(
    entries: Sequence[tuple[str, str]], about: Sequence[tuple[str, str]] = HEAD
) -> tuple[bytes, bytes]:
    """An index and a text; headwords of one entry have `|` between them."""
    index, text = [], b""
    for keys, entry in (*about, *entries):
        raw = entry.encode()
        index += [f"{key}\t{base64(len(text))}\t{base64(len(raw))}\n" for key in keys.split("|")]
        text += raw
    return "".join(sorted(index)).encode(), text


def dictzip(text: bytes, piece: int = 50) -> bytes:
    """As dictzip compresses: a table of pieces in the header, each of which can be decompressed alone."""
    compress = zlib.compressobj(wbits=-15)
    pieces = [
        compress.compress(text[at : at + piece]) + compress.flush(zlib.Z_FULL_FLUSH)
        for at in range(0, len(text), piece)
    ]
    sizes = [size.to_bytes(2, "little") for size in (1, piece, len(pieces), *map(len, pieces))]
    table = b"RA" + (2 * len(sizes)).to_bytes(2, "little") + b"".join(sizes)
    head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\x03" + len(table).to_bytes(2, "little") + table
    tail = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    return head + b"".join(pieces) + compress.flush() + tail


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\t\ufeff|"), min_size=1, max_size=9)


@given(st.dictionaries(WORDS.filter(lambda word: not word.startswith("00")), st.text(max_size=200)))
def test_each_entry_is_read_whole_and_once(entries: dict[str, str]) -> None:
    entries = {key: text for key, text in entries.items() if text.isprintable()}
    index, text = dict_bytes([*entries.items()])
    for data in (text, gzip.compress(text), dictzip(text)):
        file = DictFile.parse(index, "a.index", "a.dict")
        found = {key: entry.text for entry in file.entries(data) for key in entry.keys}
        assert found == entries
        assert file.describe("short", data) == "German-English Dictionary\n"
        assert file.describe("info", data) == ""


def test_headwords_of_one_place_are_one_entry_and_places_may_overlap() -> None:
    index = f"a\tA\tD\nb\tA\tD\nc\tB\tE\nd\t{base64(100)}\tC\ne\t{base64(65)}\tB\n\n"
    text = "".join(map(chr, range(33, 33 + 90))) + "." * 40
    found = DictFile.parse(index.encode(), "a.index", "a.dict").entries(dictzip(text.encode()))
    assert [(entry.start, entry.keys, entry.text) for entry in found] == [
        (0, ("a", "b"), '!"#'),
        (1, ("c",), '"#$%'),
        (65, ("e",), "b"),
        (100, ("d",), ".."),
    ]


def test_a_fourth_field_is_the_headword_as_it_is_written() -> None:
    file = DictFile.parse(b"haus\tA\tE\tHaus\n", "a.index", "a.dict")
    assert [entry.keys for entry in file.entries(b"Haus")] == [("haus",)]


@pytest.mark.parametrize("line", ["word", "word\tA", "word\tA\t-", "word A B", "word\tÄ\tB"])
def test_a_broken_line_of_the_index_is_named(refused: Any, line: str) -> None:
    with refused("a.index:2:", "two numbers in base 64", repr(line)):
        DictFile.parse(f"good\tA\tB\n{line}\n".encode(), "a.index", "a.dict")


def test_broken_texts_are_named(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    index, text = dict_bytes([("haus", "Haus\nhouse, building\n"), ("tür", "Tür\ndoor, gate\n")])
    file = DictFile.parse(index, "a.index", "a.dict")
    for cut in (text[:-1], gzip.compress(text[:-1]), b""):
        with refused("a.dict: truncated", "the text ends before"):
            list(file.entries(cut))
    with refused("a.dict", "truncated"):
        list(file.entries(dictzip(text)[:-30]))
    damaged = bytearray(gzip.compress(text))
    damaged[-5] ^= 1  # of the checksum
    with refused("a.dict", "compressed file"):
        list(file.entries(bytes(damaged)))
    latin = text.replace("ü".encode(), b"\xfcr")
    with refused("a.dict: the entry at byte", "not UTF-8"):
        list(file.entries(latin))
    silent = DictFile.parse(dict_bytes([("haus", "Haus")], [])[0], "a.index", "a.dict")
    with refused("a.dict: the entry at byte 0 is not UTF-8", "does not say that it is"):
        list(silent.entries(b"Ha\xfcs"))
    monkeypatch.setattr(dict_file, "_LONGEST_ENTRY", 10)
    with refused("a.dict: expected at most 10 bytes an entry, got 21"):
        list(
            DictFile.parse(*dict_bytes([("haus", "Haus\nhouse, building\n")], [])[:1], "i", "a.dict").entries(
                text
            )
        )
