"""Numbers and signatures of trigrams, compared with Python's sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.trigrams import Trigrams, ranges, signatures, trigrams


@settings(max_examples=40)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=20))
def test_texts_have_as_many_numbers_as_different_trigrams_and_share_as_many(keys: list[str]) -> None:
    text, code = Trigrams()(keys)
    numbers = [set(code[text == place].tolist()) for place in range(len(keys))]
    assert [len(one) for one in numbers] == [len(trigrams(key)) for key in keys]
    for ours, key in zip(numbers, keys, strict=True):
        for theirs, other in zip(numbers, keys, strict=True):
            assert len(ours & theirs) == len(trigrams(key) & trigrams(other))


def test_numbers_stay_when_more_texts_come() -> None:
    number = Trigrams()
    first = number(["one", "two"])[1]
    number(["drei", "保存", ""])
    assert number(["one", "two"])[1].tolist() == first.tolist()


@settings(max_examples=40)
@given(st.lists(st.text(alphabet="abcdefg", max_size=300), min_size=1, max_size=8))
def test_signatures_differ_in_no_more_bits_than_trigrams(keys: list[str]) -> None:
    text, code = Trigrams()(keys)
    signed = signatures(text, code, len(keys))
    for ours, key in zip(signed, keys, strict=True):
        for theirs, other in zip(signed, keys, strict=True):
            assert np.bitwise_count(ours ^ theirs).sum() <= len(trigrams(key) ^ trigrams(other))
    assert np.bitwise_count(signed).sum(axis=1).tolist() != [0] * len(keys)


def test_ranges_follow_one_another() -> None:
    assert ranges(np.array([5, 0, 7]), np.array([2, 0, 3])).tolist() == [5, 6, 7, 8, 9]
    assert ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
