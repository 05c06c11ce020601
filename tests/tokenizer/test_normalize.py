"""Normalisation and where each character came from."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.tokenizer.normalize import normalize, normalize_with_alignment
from xformer.tokenizer.options import Normalization

hard = st.text(
    alphabet="aeﬁ①ｶﾞﾟ\u0301\u0323\u0302\u0344\u0f73\u0f71\u0f72\u1100\u1161\u11a8가\u09c7\u09be\u05bc\u05b8"
)


@pytest.mark.parametrize("form", ["nfc", "nfkc"])
@given(text=st.text() | hard)
def test_the_alignment_covers_the_text(form: Normalization, text: str) -> None:
    result, begins, ends = normalize_with_alignment(text, form)
    assert result == unicodedata.normalize(form.upper(), text)  # type: ignore[arg-type]
    assert len(begins) == len(ends) == len(result)
    assert (begins < ends).all()
    assert (begins[1:] >= begins[:-1]).all()
    assert (ends[1:] >= ends[:-1]).all()
    covered = {i for begin, end in zip(begins, ends, strict=True) for i in range(begin, end)}
    assert covered == set(range(len(text)))
    # What a run of characters came from normalises to that run.
    for begin, end in {(int(b), int(e)) for b, e in zip(begins, ends, strict=True)}:
        part = "".join(c for c, b in zip(result, begins, strict=True) if begin <= b < end)
        assert unicodedata.normalize(form.upper(), text[begin:end]) == part  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "text", "spans"),
    [
        ("nfc", "xe\u0301y", [(0, 1), (1, 3), (3, 4)]),
        ("nfc", "a\u0323\u0302", [(0, 3)]),
        ("nfc", "\u1112\u1161\u11abx", [(0, 3), (3, 4)]),
        ("nfc", "ﬁx", [(0, 1), (1, 2)]),
        ("nfkc", "ﬁx", [(0, 1), (0, 1), (1, 2)]),
        ("nfkc", "ｶﾞ!", [(0, 2), (2, 3)]),
        ("nfkc", "½a", [(0, 1), (0, 1), (0, 1), (1, 2)]),
        ("identity", "e\u0301", [(0, 1), (1, 2)]),
        ("nfc", "", []),
    ],
)
def test_alignment_by_hand(form: Normalization, text: str, spans: list[tuple[int, int]]) -> None:
    _, begins, ends = normalize_with_alignment(text, form)
    assert list(zip(begins.tolist(), ends.tolist(), strict=True)) == spans


def test_identity_returns_the_very_text() -> None:
    text = "e\u0301 ﬁ"
    assert normalize(text, "identity") is text
