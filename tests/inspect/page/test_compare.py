"""Two models on one text: common segments and the share of attention that lies elsewhere."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inspect.page.small import array, letters, small_subject
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.compare import compare, merged, moved, segments
from xformer.inspect.page.parts import KEEP
from xformer.inspect.tokenised import TokenisedText


def cut(text: str, ends: list[int]) -> TokenisedText:
    """A text cut at some places, without special tokens; white space at the ends of a token is in none."""
    spans = []
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        piece = text[start:end]
        left = start + len(piece) - len(piece.lstrip())
        if piece.strip():
            spans.append((left, left + len(piece.strip())))
    n = len(spans)
    pieces = tuple(text[a:b] for a, b in spans)
    return TokenisedText(text, np.arange(n), pieces, tuple(spans), (False,) * n, tuple(range(n)))


def test_segments_by_hand() -> None:
    a, b = cut("unhappy end", [2, 8]), cut("unhappy end", [3, 5, 9])
    assert a.pieces == ("un", "happy", "end")
    assert b.pieces == ("unh", "ap", "py e", "nd")
    found, of_a, of_b = segments(a, b)
    assert found == [(0, 11)]  # "py e" reaches over the space, so nothing can be told apart from "happy"
    assert of_a.tolist() == [0, 0, 0]
    assert of_b.tolist() == [0, 0, 0, 0]
    c = cut("unhappy end", [3, 5, 8])
    found, of_a, of_c = segments(a, c)
    assert found == [(0, 7), (8, 11)]
    assert of_a.tolist() == [0, 0, 1]
    assert of_c.tolist() == [0, 0, 0, 1]


def test_special_tokens_are_in_no_segment() -> None:
    found, of_a, _ = segments(letters("ab"), letters("ab"))
    assert found == [(0, 1), (1, 2)]
    assert of_a.tolist() == [2, 0, 1, 2]


@given(st.text("ab c", min_size=1, max_size=12), st.data())
def test_segments_are_filled_by_whole_tokens_of_both(text: str, data: st.DataObject) -> None:
    ends = st.lists(st.integers(1, len(text)), unique=True).map(sorted)
    a, b = (cut(text, [end for end in data.draw(ends) if end < len(text)]) for _ in range(2))
    found, of_a, of_b = segments(a, b)
    for one, of in ((a, of_a), (b, of_b)):
        covered = {place for span in one.spans for place in range(*span)}
        assert covered <= {place for span in found for place in range(*span)}
        for (start, end), segment in zip(one.spans, of, strict=True):
            assert found[segment][0] <= start
            assert end <= found[segment][1]
    starts_and_ends = [{edge for span in one.spans for edge in span} for one in (a, b)]
    for (_, end), (start, _) in pairwise(found):
        assert end <= start
        if end == start:  # as small as they can be: no token of either goes across
            assert all(end in edges for edges in starts_and_ends)


def test_merged_by_hand() -> None:
    weights = np.array([[[0.2, 0.3, 0.5], [0.0, 0.6, 0.4], [1.0, 0.0, 0.0]]])
    # Tokens 0 and 1 are one segment, token 2 is special: queries are averaged, keys added.
    np.testing.assert_allclose(merged(weights, np.array([0, 0, 1]), 1), [[[0.55, 0.45]]])


def test_moved_by_hand() -> None:
    a = np.array([[[1.0, 0.0], [0.5, 0.5]]])
    b = np.array([[[0.0, 1.0], [0.5, 0.5]], [[1.0, 0.0], [0.5, 0.5]]])
    np.testing.assert_allclose(moved(a, b), [[0.5, 0.0]])  # half of the rows lies elsewhere altogether


def test_a_model_beside_itself_and_beside_another() -> None:
    one, other = small_subject(), small_subject()
    blobs = Blobs()
    with one.trace("abc de", keep=KEEP) as first, other.trace("abc de", keep=KEEP) as second:
        same, changed = compare(first, first, 0, blobs), compare(first, second, 0, blobs)
        a, b = (trace["layers.1.attn.weights"][0].numpy() for trace in (first, second))
    distance = array(blobs, same["distance"])
    assert same["same"]
    assert same["segments"] == [[n, n + 1] for n in range(6)]
    assert distance.shape == (2, 2, 2, 2)
    assert all(distance[layer, head, layer, head] == 0 for layer in range(2) for head in range(2))
    # All tokens are segments but the first and the last, whose columns are one.
    rows = np.abs(
        np.c_[a[0, 1:-1, 1:-1], a[0, 1:-1, 0] + a[0, 1:-1, -1]]
        - np.c_[b[1, 1:-1, 1:-1], b[1, 1:-1, 0] + b[1, 1:-1, -1]]
    )
    assert array(blobs, changed["distance"])[1, 0, 1, 1] == pytest.approx(rows.sum(1).mean() / 2, rel=1e-5)


def test_a_text_of_special_tokens_alone() -> None:
    subject = small_subject()
    blobs = Blobs()
    empty = replace(letters(""), text="")
    with subject.trace(empty, keep=KEEP) as trace:
        part = compare(trace, trace, 0, blobs)
    assert part["segments"] == []
    assert not array(blobs, part["distance"]).any()
