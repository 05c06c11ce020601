"""Lines end at the line feed only, and errors name the file and the line."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.readers import lines
from xformer.data.readers.lines import decode_lines, open_zip, read_lines, uncompressed_name

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"))))
def test_every_character_but_the_line_feed_is_text(texts: list[str]) -> None:
    data = "".join(f"{text}\n" for text in texts).encode()
    expected = [text.removesuffix("\r") for text in texts]
    if expected:
        expected[0] = texts[0].removeprefix("\ufeff").removesuffix("\r")
    assert list(decode_lines(io.BytesIO(data), "file")) == expected


@pytest.mark.parametrize("suffix", COMPRESS)
def test_line_breaks_of_other_standards_are_text(write: Any, suffix: str) -> None:
    content = "a\u2028b\u0085c\x0bd\x0c\x1ce\rf\r\n\nlast"
    path = write(f"text{suffix}", COMPRESS[suffix](content.encode()))
    assert list(read_lines(path)) == ["a\u2028b\u0085c\x0bd\x0c\x1ce\rf", "", "last"]


def test_a_byte_order_mark_goes_only_at_the_start(write: Any) -> None:
    path = write("text", "\ufeffone\n\ufefftwo\n")
    assert list(read_lines(path)) == ["one", "\ufefftwo"]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_bytes_that_are_not_utf8_are_named(write: Any, refused: Any, suffix: str) -> None:
    path = write(f"text{suffix}", COMPRESS[suffix](b"good\nb\xe4d\n"))
    with refused(f"{path}:2:", "UTF-8", "byte 2", "0xe4"):
        list(read_lines(path))


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_truncated_file_is_named(write: Any, refused: Any, suffix: str, rng: Any) -> None:
    whole = COMPRESS[suffix](rng.bytes(50_000).hex().encode())
    path = write(f"text{suffix}", whole[: len(whole) // 2])
    with refused(path, "truncated"):
        list(read_lines(path))


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_file_that_is_not_what_its_name_says_is_named(write: Any, refused: Any, suffix: str) -> None:
    path = write(f"text{suffix}", "plain text\n")
    with refused(path, "not a valid compressed file"):
        list(read_lines(path))


def test_damage_inside_a_gzip_file_is_named(write: Any, refused: Any) -> None:
    whole = bytearray(gzip.compress(b"some text\n" * 1000))
    whole[-6] ^= 0xFF  # in the checksum
    path = write("text.gz", bytes(whole))
    with refused(path, "not a valid compressed file"):
        list(read_lines(path))


def test_missing_files_and_folders_are_named(tmp_path: Path, refused: Any) -> None:
    with refused(tmp_path / "none", "no such file"):
        list(read_lines(tmp_path / "none"))
    with refused(tmp_path, "this is a folder"):
        list(read_lines(tmp_path))


def test_an_endless_line_is_refused(write: Any, refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 100)
    assert list(read_lines(write("text", "x" * 99 + "\n" + "y" * 99))) == ["x" * 99, "y" * 99]
    path = write("text", "fine\n" + "x" * 100 + "\n")
    with refused(f"{path}:2", "a line of more than"):
        list(read_lines(path))


def test_what_is_no_zip_is_named(write: Any, refused: Any) -> None:
    path = write("a.zip", "not a zip")
    with refused(path, "not a valid compressed file"), open_zip(path):
        pass


def test_an_encrypted_zip_is_named(tmp_path: Path, refused: Any) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag, in the central directory
    path.write_bytes(data)
    with refused(path, "encrypted"), open_zip(path):
        pass


def test_names_without_compression() -> None:
    assert uncompressed_name("a.b/train.de.gz") == "train.de"
    assert uncompressed_name("train.de.xz") == "train.de"
    assert uncompressed_name("train.de") == "train.de"
