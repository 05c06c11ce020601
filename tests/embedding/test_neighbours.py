"""Nearest neighbours against sorting all cosines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.embedding import neighbours
from xformer.embedding.neighbours import nearest_neighbours


def by_sorting(queries: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The definition: all cosines, sorted by value, then by row."""
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (queries, candidates)]
    cosines = np.round((unit[0][:, None] * unit[1][None]).sum(-1) * 2**24) / 2**24
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(cosines, rows, axis=1)


@settings(max_examples=60, deadline=None)
@given(
    q=st.integers(0, 9),
    n=st.integers(0, 40),
    dim=st.integers(1, 5),
    k=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 11)),
)
def test_it_is_the_start_of_a_sorted_list(
    q: int, n: int, dim: int, k: int, seed: int, sizes: tuple[int, int]
) -> None:
    """With many ties: the coordinates are small whole numbers, and rows of zeros are among them."""
    rng = np.random.default_rng(seed)
    queries, candidates = (rng.integers(-1, 2, (rows, dim)).astype(np.float64) for rows in (q, n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_QUERIES_AT_ONCE", sizes[0])
        patch.setattr(neighbours, "_CANDIDATES_AT_ONCE", sizes[1])
        found = nearest_neighbours(queries, candidates, k)
    rows, cosines = by_sorting(queries, candidates, k)
    assert found.rows.shape == (q, min(k, n))
    # Directions like (1, 1, 0) and (1, 1, 1) have no exact cosine; half a step decides nothing.
    np.testing.assert_allclose(found.cosines, cosines, atol=2**-24, rtol=0)
    same = np.abs(np.take_along_axis(by_all(queries, candidates), found.rows, 1) - found.cosines)
    assert (same <= 2**-24).all()
    if dim == 1:
        np.testing.assert_array_equal(found.rows, rows)


def by_all(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (queries, candidates)]
    cosines: np.ndarray = unit[0] @ unit[1].T
    return cosines


def test_equal_candidates_come_in_their_order_for_any_k(rng: np.random.Generator) -> None:
    vector = rng.standard_normal(48).astype(np.float32)
    candidates = rng.standard_normal((20_000, 48)).astype(np.float32)
    equal = [3, 8191, 8192, 9000, 19_999]
    candidates[equal] = vector * np.array([1, 2, 0.5, 4, 8], dtype=np.float32)[:, None]
    for k in (1, 2, 4, 5):
        found = nearest_neighbours(vector[None], candidates, k)
        assert found.rows.tolist() == [equal[:k]]
        assert found.cosines.tolist() == [[1.0] * k]


def test_the_order_of_queries_changes_nothing(rng: np.random.Generator) -> None:
    queries, candidates = rng.standard_normal((600, 8)), rng.standard_normal((9000, 8))
    whole = nearest_neighbours(queries, candidates, 3)
    for row in (0, 255, 256, 599):
        alone = nearest_neighbours(queries[row : row + 1], candidates, 3)
        np.testing.assert_array_equal(alone.rows[0], whole.rows[row])
        np.testing.assert_array_equal(alone.cosines[0], whole.cosines[row])


def test_candidates_may_be_mapped(tmp_path: Path, rng: np.random.Generator) -> None:
    candidates = rng.standard_normal((50, 4)).astype(np.float32)
    np.save(tmp_path / "a.npy", candidates)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    found = nearest_neighbours(candidates[:7], mapped, 1)
    assert found.rows[:, 0].tolist() == list(range(7))


@pytest.mark.parametrize(
    ("queries", "candidates", "k", "said"),
    [
        (np.zeros((1, 2)), np.zeros((1, 2)), 0, "k: expected a whole number from 1, got 0"),
        (np.zeros((1, 2)), np.zeros((1, 3)), 1, "expected matrices of one width, got .1, 2. and .1, 3."),
        (np.zeros((1, 2)), np.full((1, 2), np.nan), 1, "expected finite vectors"),
        (np.full((1, 2), np.inf), np.zeros((1, 2)), 1, "expected finite vectors"),
    ],
)
def test_what_cannot_be_compared(queries: np.ndarray, candidates: np.ndarray, k: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        nearest_neighbours(queries, candidates, k)
