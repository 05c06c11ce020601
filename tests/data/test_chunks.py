"""Chunks of long texts: as few as possible, equally long, and the same for one text and for many."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.chunks import Chunks, cut_points


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(1, 64))
def test_many_texts_are_cut_as_each_is(lengths: list[int], max_length: int) -> None:
    chunks = Chunks.of(np.array(lengths, dtype=np.int32), max_length)
    expected = []
    begin = 0
    for number, length in enumerate(lengths):
        cuts = cut_points(length, max_length) if length else [0]
        expected += [(number, begin + start, end - start) for start, end in pairwise(cuts)]
        begin += length
    found = zip(chunks.text.tolist(), chunks.starts.tolist(), chunks.lengths.tolist(), strict=True)
    assert list(found) == expected


@given(st.integers(1, 1000), st.integers(1, 64))
def test_chunks_are_few_and_equally_long(n_tokens: int, max_length: int) -> None:
    cuts = cut_points(n_tokens, max_length)
    sizes = np.diff(cuts)
    assert (cuts[0], cuts[-1]) == (0, n_tokens)
    assert sizes.max() <= max_length
    assert sizes.max() - sizes.min() <= 1
    assert (len(sizes) - 1) * max_length < n_tokens
