"""Near duplicates, compared with a search over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data import near_duplicates
from xformer.data.near_duplicates import NearDuplicates
from xformer.data.trigrams import trigrams

WORDS = st.text(alphabet="abc", max_size=12)
LABELLED = st.tuples(WORDS, st.integers(0, 1))


def _expected(
    indexed: list[tuple[str, int]], queries: list[tuple[str, int]], threshold: float
) -> list[tuple[int, int]]:
    """The definition: two texts of one label with so much overlap of their sets of trigrams."""
    found = []
    for place, (query, label) in enumerate(queries):
        grams = trigrams(query)
        for number, (text, other) in enumerate(indexed):
            shared, every = len(grams & trigrams(text)), len(grams | trigrams(text))
            if label == other and shared / every >= threshold - 1e-12:
                found.append((place, number))
    return found


def _found(
    indexed: list[tuple[str, int]], queries: list[tuple[str, int]], threshold: float
) -> list[tuple[int, int]]:
    keys, labels = [text for text, _ in indexed], np.array([label for _, label in indexed], dtype=np.int64)
    index = NearDuplicates(keys, labels, threshold)
    assert len(index) == len(indexed)
    asked = np.array([label for _, label in queries], dtype=np.int64)
    query, number = index.find([text for text, _ in queries], asked)
    return list(zip(query.tolist(), number.tolist(), strict=True))


@settings(max_examples=50)
@given(
    st.lists(LABELLED, max_size=25),
    st.lists(LABELLED, max_size=10),
    st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]),
)
def test_all_near_duplicates_are_found_and_no_others(
    indexed: list[tuple[str, int]], queries: list[tuple[str, int]], threshold: float
) -> None:
    queries += indexed
    assert _found(indexed, queries, threshold) == _expected(indexed, queries, threshold)


@settings(max_examples=30)
@given(st.lists(LABELLED, max_size=25), st.lists(LABELLED, max_size=10), st.integers(0, 5))
def test_trigrams_that_share_a_slot_change_nothing(
    indexed: list[tuple[str, int]], queries: list[tuple[str, int]], bits: int
) -> None:
    queries += indexed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_MOST_SLOT_BITS", bits)
        assert _found(indexed, queries, 0.5) == _expected(indexed, queries, 0.5)


def test_many_long_texts_at_once_are_compared_as_one_by_one(rng: np.random.Generator) -> None:
    """More texts than are numbered together, more pairs than are looked at together, and long texts."""
    words = ["".join(rng.choice(list("abcdeéश保"), rng.integers(1, 6))) for _ in range(15)]

    def texts(count: int, longest: int) -> list[tuple[str, int]]:
        return [
            ("".join(rng.choice(words, rng.integers(1, longest))), int(rng.integers(0, 2)))
            for _ in range(count)
        ]

    indexed = texts(120, 6) + texts(8, 150)
    queries = texts(20, 6) + indexed[::8]
    filler = [("ab", -1)] * 9_000
    found = _found(indexed, filler + queries, 0.5)
    shifted = [(place - len(filler), number) for place, number in found]
    assert shifted == _expected(indexed, queries, 0.5)
    repeated = indexed * 60
    assert len(_found(repeated, queries, 0.5)) == 60 * len(shifted)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan")])
def test_impossible_thresholds_are_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold: expected above 0 and at most 1"):
        NearDuplicates([], np.zeros(0, dtype=np.int64), threshold)


@pytest.mark.parametrize("label", [-1, 8192])
def test_labels_out_of_range_are_refused(label: int) -> None:
    with pytest.raises(ValueError, match="labels: expected from 0 to 8,191"):
        NearDuplicates(["a"], np.array([label]), 0.7)
