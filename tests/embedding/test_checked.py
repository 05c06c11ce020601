"""What is refused as texts, and how the place is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.embedding.checked import as_texts, buffers, check_one
from xformer.errors import InputError


class Table:
    """Stands for a data frame, which yields the names of its columns."""

    columns = ("text", "label")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"abc", "got bytes: decode it first"),
        ({"a": "b"}, "got dict: name the column"),
        ({"a", "b"}, "got set: name the column or the order"),
        (Table(), "got Table: name the column"),
        (np.array([["a"], ["b"]]), "an array of 2 dimensions"),
        (np.array("a"), "an array of 0 dimensions"),
        (7, r"got 7 \(int\)"),
        (None, "got None"),
        (["a", None], r"texts\[1\]: expected a string, got None"),
        (["a", "b", b"c"], r"texts\[2\]: expected a string, got b'c' \(bytes\); decode it first"),
        (("a", float("nan")), r"texts\[1\]: expected a string, got nan \(float\)"),
        ([["a", "b"]], r"texts\[0\]: expected a string, got \['a', 'b'\] \(list\)"),
        (["é", "a\udc80"], r"texts\[1\]: expected Unicode, found the lone surrogate U\+DC80 at character 1"),
        (np.array([1.5, 2.5]), r"texts\[0\]: expected a string, got 1.5"),
        (["x" * 100, 10**60], r"texts\[1\]: expected a string, got 1000+\.\.\. \(int\)"),
    ],
)
def test_what_is_no_texts_is_refused(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_texts(given)


def test_arrays_and_iterators_are_texts() -> None:
    assert list(as_texts(np.array(["a", "bc"]))) == ["a", "bc"]
    assert list(as_texts(np.array(["a", "bc"], dtype=object))) == ["a", "bc"]
    assert list(as_texts(iter(["a"]))) == ["a"]


def test_one_text_is_named_as_it_is_asked() -> None:
    with pytest.raises(InputError, match="text: expected Unicode"):
        check_one("\ud800", "text")


@given(st.lists(st.text(max_size=5), max_size=50), st.integers(1, 20), st.integers(1, 40), st.booleans())
def test_buffers_keep_the_order_and_are_not_empty(
    texts: list[str], most_texts: int, most_chars: int, known: bool
) -> None:
    texts = [text.encode(errors="ignore").decode() for text in texts]
    found = list(buffers(texts if known else iter(texts), most_texts, most_chars))
    assert [text for one in found for text in one] == texts
    assert all(0 < len(one) <= most_texts for one in found)


def test_an_iterator_is_read_as_buffers_are_asked_for() -> None:
    read: list[int] = []

    def lines() -> Iterator[str]:
        for number in range(10_000):
            read.append(number)
            yield "x" * 10

    found = buffers(lines(), 2_000, 10**9)
    assert read == []
    next(found)
    assert len(read) <= 2_000
    by_chars = buffers(lines(), 10**9, 100)
    read.clear()
    next(by_chars)
    assert len(read) == 1024


def test_the_index_counts_from_the_first_text_of_an_iterator() -> None:
    texts: Any = iter(["a"] * 3_000 + [None])
    found = buffers(texts, 1024, 10**9)
    assert len(next(found)) == len(next(found)) == 1024
    with pytest.raises(InputError, match=r"texts\[3000\]: expected a string"):
        list(found)
