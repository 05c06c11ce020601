"""Measures of a shared space against values worked out by hand, and against the sums they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.geometry.space import (
    alignment,
    anisotropy,
    anti_hubs,
    centroid_gap,
    hubness,
    k_occurrence,
    without_centroids,
)

EAST, NORTH, WEST, SOUTH = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])


def test_centroid_gap_by_hand() -> None:
    # Centroids (1/2, 1/2) and (-1/2, -1/2): |a - b|² = 2. Each text is 1/√2 from its own: two are 1 apart.
    vectors, language = torch.stack([EAST, NORTH, WEST, SOUTH]), np.array([0, 0, 1, 1])
    assert centroid_gap(vectors, language) == pytest.approx(math.sqrt(2))
    assert centroid_gap(5 * vectors, language) == pytest.approx(math.sqrt(2))
    assert centroid_gap(vectors, np.array([3, 7, 3, 7])) == pytest.approx(0.0, abs=1e-12)
    assert centroid_gap(torch.stack([EAST, EAST, WEST]), np.array([0, 0, 1])) == math.inf
    assert centroid_gap(torch.stack([EAST, EAST, EAST]), np.array([0, 0, 1])) == 0.0


def test_a_language_with_many_texts_counts_as_one_with_few() -> None:
    few = torch.stack([EAST, NORTH, WEST, SOUTH])
    many = torch.stack([EAST, NORTH] * 5 + [WEST, SOUTH])
    assert centroid_gap(many, np.array([0] * 10 + [1] * 2)) == pytest.approx(
        centroid_gap(few, np.array([0, 0, 1, 1]))
    )


def test_anisotropy_by_hand() -> None:
    assert anisotropy(torch.stack([EAST, EAST, 3 * EAST])) == pytest.approx(1.0)
    assert anisotropy(torch.stack([EAST, WEST])) == pytest.approx(-1.0)
    # Cosines 0, 0, 1 of the three pairs.
    assert anisotropy(torch.stack([EAST, NORTH, EAST])) == pytest.approx(1 / 3)
    assert anisotropy(torch.stack([EAST, torch.zeros(2), EAST])) == pytest.approx(1 / 3)


def test_hubness_by_hand() -> None:
    # Every query is nearest EAST: counts 4, 0, 0, 0, of mean 1: m3 = (27 - 3) / 4 = 6, m2 = 3.
    queries = torch.stack([EAST] * 4)
    candidates = torch.stack([EAST, NORTH, WEST, SOUTH])
    assert hubness(queries, candidates, k=1) == pytest.approx(6 / 3**1.5)
    assert hubness(candidates, candidates, k=1) == 0.0
    assert hubness(queries, candidates, k=4) == 0.0
    # The second nearest is NORTH, which ties with SOUTH and comes first: counts 4, 4, 0, 0.
    assert hubness(queries, candidates, k=2) == pytest.approx(0.0)


def test_alignment_by_hand() -> None:
    both = torch.stack([EAST, NORTH])
    assert alignment(both, both) == pytest.approx(1.0)
    assert alignment(both, 7 * both) == pytest.approx(1.0)
    assert alignment(both, both.flip(0)) == pytest.approx(-1.0)
    # All in one direction: translations are no nearer than others.
    assert alignment(torch.stack([EAST, EAST]), torch.stack([EAST, EAST])) == pytest.approx(0.0)
    # Right (EAST, EAST): true cosines 1, 0; others 1, 0.
    assert alignment(both, torch.stack([EAST, EAST])) == pytest.approx(0.0)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 9), width=st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_products_of_sums_are_sums_over_pairs(seed: int, count: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    left, right = torch.randn(2, count, width, generator=generator, dtype=torch.float64).unbind(0)
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (left, right))
    pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
    assert anisotropy(left) == pytest.approx(np.mean([float(a[i] @ a[j]) for i, j in pairs]), abs=1e-12)
    true = np.mean([float(a[i] @ b[i]) for i in range(count)])
    others = np.mean([float(a[i] @ b[j]) for i, j in pairs])
    assert alignment(left, right) == pytest.approx(true - others, abs=1e-12)
    both, language = torch.cat([left, right]), np.repeat([0, 1], count)
    spread = [float((x[i] - x[j]).square().sum()) for x in (a, b) for i in range(count) for j in range(count)]
    gap = float((a.mean(0) - b.mean(0)).norm()) / math.sqrt(np.mean(spread)) if np.mean(spread) > 0 else None
    if gap is not None:
        assert centroid_gap(both, language) == pytest.approx(gap, rel=1e-6)


def test_what_cannot_be_measured() -> None:
    one = torch.ones(1, 2)
    with pytest.raises(ValueError, match="two languages or more, got 1"):
        centroid_gap(torch.ones(3, 2), np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="a language for each of 3 vectors, got 2"):
        centroid_gap(torch.ones(3, 2), np.arange(2))
    with pytest.raises(ValueError, match="two vectors or more, got 1"):
        anisotropy(one)
    with pytest.raises(ValueError, match="k from 1 to the number of candidates"):
        hubness(one, one, k=2)
    with pytest.raises(ValueError, match="two pairs or more"):
        alignment(one, one)


def test_occurrences_and_anti_hubs_by_hand() -> None:
    # Two queries near EAST and one near NORTH: with k = 1, nobody is near WEST and SOUTH.
    queries = torch.tensor([[1.0, 0.1], [1.0, -0.1], [0.1, 1.0]])
    candidates = torch.stack([EAST, NORTH, WEST, SOUTH])
    assert k_occurrence(queries, candidates, 1).tolist() == [2, 1, 0, 0]
    assert anti_hubs(queries, candidates, 1) == 0.5
    # Of the second nearest, two are NORTH or EAST and one is SOUTH.
    assert k_occurrence(queries, candidates, 2).tolist() == [3, 2, 0, 1]
    assert anti_hubs(queries, candidates, 4) == 0.0


def test_without_centroids_by_hand() -> None:
    # Centroids (1/2, 1/2) and (-1/2, -1/2): left are half of the diagonals, scaled to 1.
    vectors, language = torch.stack([EAST, NORTH, WEST, SOUTH]), np.array([0, 0, 1, 1])
    half = math.sqrt(0.5)
    expected = torch.tensor([[half, -half], [-half, half], [-half, half], [half, -half]], dtype=torch.float64)
    torch.testing.assert_close(without_centroids(3 * vectors, language), expected)
    assert without_centroids(EAST[None], np.array([0])).tolist() == [[0.0, 0.0]]
    assert centroid_gap(without_centroids(vectors, language), language) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="a language for each of 4 vectors"):
        without_centroids(vectors, np.array([0]))
