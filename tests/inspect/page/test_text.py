"""Texts of any script: direction, and places as JavaScript counts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.inspect.page.text import direction, utf16_offsets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Open the file", "ltr"),
        ("فتح الملف", "rtl"),
        ("פתח את הקובץ", "rtl"),
        ("12. (فتح) file", "rtl"),
        ("GNOME فتح", "ltr"),
        ("เปิดไฟล์", "ltr"),
        ("ファイルを開く", "ltr"),
        ("… 42", "ltr"),
        ("", "ltr"),
    ],
)
def test_direction(text: str, expected: str) -> None:
    assert direction(text) == expected


@given(st.text(st.sampled_from("aé語👩\u200d🇩")))
def test_places_are_those_of_utf16(text: str) -> None:
    expected = [len(text[:place].encode("utf-16-le")) // 2 for place in range(len(text) + 1)]
    assert utf16_offsets(text, range(len(text) + 1)) == expected
