"""Plain texts, compared with the definition."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from xformer.data.plain_texts import plain_texts

WHITE = [chr(code) for code in range(0x110000) if chr(code).isspace()]
TEXTS = st.lists(
    st.text(st.one_of(st.sampled_from([*WHITE, "a", "e", "\u0301", "\0", "\ud800"]), st.characters()))
)


@given(TEXTS)
def test_many_texts_are_plain_as_each_is(texts: list[str]) -> None:
    assert plain_texts(texts) == [" ".join(unicodedata.normalize("NFC", text).split()) for text in texts]


def test_every_white_space_is_one() -> None:
    assert plain_texts([f"a{white}b" for white in WHITE]) == ["a b"] * len(WHITE)
    assert plain_texts([f"{white}b{white}" for white in WHITE]) == ["b"] * len(WHITE)
    assert plain_texts(["a b", "\u3001", "\u3000", ""]) == ["a b", "\u3001", "", ""]
