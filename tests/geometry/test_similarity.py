"""Similarity of languages: by hand, by other formulas, and what chance and rotations do to it."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xformer.geometry.similarity import (
    centroid_distance,
    language_similarity,
    linear_cka,
    mean_states,
    shuffled_baseline,
    svcca,
)
from xformer.geometry.space import alignment


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def orthogonal(size: int, seed: int = 1) -> Tensor:
    found: Tensor = torch.linalg.qr(noise(size, size, seed=seed)).Q
    return found


def test_cka_by_hand() -> None:
    # Centred: x = (-1, 1, 0), y = (-1, 0, 1): (x·y)² / (|x|² |y|²) = 1 / 4.
    x, y = torch.tensor([[0.0], [2.0], [1.0]]), torch.tensor([[1.0], [2.0], [3.0]])
    assert linear_cka(x, y, debiased=False) == pytest.approx(1 / 4)


@settings(max_examples=20)
@given(n=st.integers(4, 9), seed=st.integers(0, 99))
def test_cka_by_the_matrices_of_its_definition(n: int, seed: int) -> None:
    """HSIC with centring matrices (Kornblith), and the unbiased one with its three terms (Song, eq. 5)."""
    x, y = noise(n, 5, seed=seed), noise(n, 3, seed=seed + 1000)
    centre = torch.eye(n, dtype=torch.float64) - 1 / n
    ones = torch.ones(n, dtype=torch.float64)

    def biased(a: Tensor, b: Tensor) -> float:
        return float(torch.trace(a @ centre @ b @ centre))

    def unbiased(a: Tensor, b: Tensor) -> float:
        a, b = (one.clone().fill_diagonal_(0) for one in (a, b))
        first = torch.trace(a @ b)
        second = (ones @ a @ ones) * (ones @ b @ ones) / ((n - 1) * (n - 2))
        third = 2 / (n - 2) * (ones @ a @ b @ ones)
        return float(first + second - third) / (n * (n - 3))

    k, m = x @ x.T, y @ y.T
    plain = biased(k, m) / math.sqrt(biased(k, k) * biased(m, m))
    assert linear_cka(x, y, debiased=False) == pytest.approx(plain)
    if unbiased(k, k) > 1e-9 and unbiased(m, m) > 1e-9:
        fair = unbiased(k, m) / math.sqrt(unbiased(k, k) * unbiased(m, m))
        assert linear_cka(x, y) == pytest.approx(fair)


@pytest.mark.parametrize("debiased", [True, False])
def test_cka_knows_no_rotation_no_scale_and_no_shift(debiased: bool) -> None:
    x, y = noise(40, 6), noise(40, 6) + 0.5 * noise(40, 6, seed=2)
    moved = 3 * x @ orthogonal(6) + 7
    assert linear_cka(x, moved, debiased=debiased) == pytest.approx(1)
    assert linear_cka(moved, y, debiased=debiased) == pytest.approx(linear_cka(x, y, debiased=debiased))


def test_only_the_debiased_cka_of_unrelated_vectors_is_nothing() -> None:
    pairs = [(noise(20, 100, seed=n), noise(20, 100, seed=n + 50)) for n in range(20)]
    plain, fair = (
        sum(linear_cka(x, y, debiased=debiased) for x, y in pairs) / len(pairs) for debiased in (False, True)
    )
    assert plain > 0.7
    assert abs(fair) < 0.05


def test_svcca_by_hand() -> None:
    # One direction each, at 60° to one another once centred: the correlation is 1/2.
    x, y = torch.tensor([[0.0], [2.0], [1.0]]), torch.tensor([[1.0], [2.0], [3.0]])
    assert svcca(x, y) == pytest.approx(1 / 2)


def test_svcca_finds_shared_directions_under_any_linear_map() -> None:
    x = noise(60, 4)
    assert svcca(x, x @ noise(4, 4, seed=3) + 2, variance=1.0) == pytest.approx(1)
    # Half of what y has is x's, the rest is its own; the own part correlates by chance alone.
    y = torch.cat([x[:, :2], noise(60, 2, seed=4)], dim=1)
    assert 0.5 < svcca(x, y, variance=1.0) < 0.8
    # What varies little is dropped.
    loud = torch.cat([100 * x[:, :1], 0.01 * noise(60, 3, seed=5)], dim=1)
    assert svcca(loud, x[:, :1]) == pytest.approx(1, abs=1e-4)


def test_svcca_beside_scikit_learn() -> None:
    decomposition = pytest.importorskip("sklearn.cross_decomposition")
    x, y = noise(50, 3), noise(50, 3) + 0.7 * noise(50, 3, seed=6)
    cca = decomposition.CCA(n_components=3, max_iter=5000, tol=1e-12).fit(x.numpy(), y.numpy())
    left, right = (torch.from_numpy(one).T for one in cca.transform(x.numpy(), y.numpy()))
    found = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(left, right, strict=True)]
    assert svcca(x, y, variance=1.0) == pytest.approx(sum(found) / 3, abs=1e-4)


def test_the_distance_of_centroids_by_hand() -> None:
    x, y = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), torch.tensor([[3.0, 3.0], [3.0, 5.0]])
    assert centroid_distance(x, y) == pytest.approx(5.0)
    assert centroid_distance(x, x) == 0
    assert centroid_distance(x[:1], y[:1]) == math.inf


def test_languages_beside_one_another_and_beside_chance() -> None:
    shared = noise(30, 8)
    vectors = {
        "a": shared,
        "b": shared + 0.1 * noise(30, 8, seed=7),
        "far": shared + 4 * torch.eye(8, dtype=torch.float64)[0],
        "else": noise(30, 8, seed=8),
    }
    found, chance = language_similarity(vectors), shuffled_baseline(vectors)
    for one in (found.cka, found.cosine, found.distance):
        assert torch.equal(one.nan_to_num(), one.T.nan_to_num())
        assert bool(one.diagonal().isnan().all())
    assert float(found.cka[0, 1]) > 0.95 < float(found.cka[0, 2])
    assert abs(float(found.cka[0, 3])) < 0.3
    assert float(found.distance[0, 2]) > 1 > float(found.distance[0, 1])
    assert float(found.cosine[0, 1]) > 0.9 > 0.3 > float(found.cosine[0, 3])
    assert chance.means()["cka"] < 0.2 < found.means()["cka"]
    torch.testing.assert_close(chance.distance, found.distance, equal_nan=True)


@settings(max_examples=20)
@given(n=st.integers(4, 12), languages=st.integers(2, 4), seed=st.integers(0, 99))
def test_all_pairs_at_once_are_the_pairs_one_by_one(n: int, languages: int, seed: int) -> None:
    shared = noise(n, 5, seed=seed)
    vectors = {str(k): shared + noise(n, 5, seed=1000 * k + seed) for k in range(languages)}
    found = language_similarity(vectors)
    for i, j in product(range(languages), repeat=2):
        if i != j:
            x, y = vectors[str(i)], vectors[str(j)]
            assert float(found.cka[i, j]) == pytest.approx(linear_cka(x, y), nan_ok=True)
            assert float(found.cosine[i, j]) == pytest.approx(alignment(x, y))
            assert float(found.distance[i, j]) == pytest.approx(centroid_distance(x, y))


def test_special_tokens_are_no_part_of_the_mean() -> None:
    states = [torch.tensor([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 5.0]])]
    counted = [torch.tensor([False, True, True]), torch.tensor([False])]
    assert mean_states(states, counted).tolist() == [[2.0, 3.0], [0.0, 0.0]]


def test_what_cannot_be_compared_is_said() -> None:
    x = noise(5, 3)
    with pytest.raises(ValueError, match="equally many rows, 4 or more"):
        linear_cka(x, x[:4])
    with pytest.raises(ValueError, match="3 or more"):
        svcca(x[:2], x[:2])
    with pytest.raises(ValueError, match="variance"):
        svcca(x, x, variance=0.0)
    with pytest.raises(ValueError, match="one width"):
        centroid_distance(x, x[:, :2])
    with pytest.raises(ValueError, match="two languages"):
        language_similarity({"a": x})
    assert math.isnan(linear_cka(x, torch.ones(5, 2)))
    assert math.isnan(svcca(x, torch.ones(5, 2)))
