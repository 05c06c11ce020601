"""Mining against the definition, on the whole matrix of cosines. Covers `margin` and `pairs`."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.embedding.mining.margin import MarginKind
from xformer.embedding.mining.mine import mine
from xformer.embedding.mining.pairs import Retrieval
from xformer.embedding.search import scan as scanning

Found = list[tuple[int, int, float]]


def by_definition(
    a: np.ndarray, b: np.ndarray, k: int, margin: MarginKind, retrieval: Retrieval, one_to_one: bool
) -> Found:
    """Line by line as the paper and LASER have it."""
    cosines = (a.astype(np.float64) @ b.astype(np.float64).T).astype(np.float32).astype(np.float64)

    def nearest(scores: np.ndarray) -> list[int]:
        return sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]

    ahead, behind = [nearest(row) for row in cosines], [nearest(column) for column in cosines.T]
    mean_a = [np.mean([cosines[x, y] for y in ys]) for x, ys in enumerate(ahead)]
    mean_b = [np.mean([cosines[x, y] for x in xs]) for y, xs in enumerate(behind)]

    def of(x: int, y: int) -> float:
        cosine, mean = cosines[x, y], (mean_a[x] + mean_b[y]) / 2
        if margin == "absolute":
            return float(cosine)
        if margin == "distance":
            return float(cosine - mean)
        return float(cosine / mean) if mean > 0 else -np.inf

    first = {max(((x, y) for y in ys), key=lambda pair: of(*pair)) for x, ys in enumerate(ahead)}
    second = {max(((x, y) for x in xs), key=lambda pair: of(*pair)) for y, xs in enumerate(behind)}
    chosen = {"forward": first, "backward": second, "intersection": first & second, "max": first | second}
    pairs = [(x, y, of(x, y)) for x, y in chosen[retrieval] if np.isfinite(of(x, y))]
    pairs.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
    if not one_to_one:
        return pairs
    kept: Found = []
    for x, y, score in pairs:
        if all(x != other[0] and y != other[1] for other in kept):
            kept.append((x, y, score))
    return kept


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    dim=st.integers(1, 6),
    k=st.integers(1, 9),
    margin=st.sampled_from(get_args(MarginKind)),
    retrieval=st.sampled_from(get_args(Retrieval)),
    one_to_one=st.booleans(),
    steps=st.sampled_from([1, 512]),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_definition(
    sizes: tuple[int, int],
    dim: int,
    k: int,
    margin: MarginKind,
    retrieval: Retrieval,
    one_to_one: bool,
    steps: int,
    seed: int,
) -> None:
    """Coordinates are whole numbers of 2⁻¹⁰, so that products are exact and equal ones are equal."""
    rng = np.random.default_rng(seed)
    a, b = ((rng.integers(-steps, steps + 1, (n, dim)) / 1024).astype(np.float32) for n in sizes)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_QUERIES_AT_ONCE", 7), ("_CELLS_AT_ONCE", 60), ("_MOST_ROWS", 50)):
            patch.setattr(scanning, name, value)
        found = mine(a, b, k=k, margin=margin, retrieval=retrieval, one_to_one=one_to_one)
    expected = by_definition(a, b, k, margin, retrieval, one_to_one)
    # Means of three and more are sums in another order, so margins that are equal here may differ there.
    np.testing.assert_allclose(found.margins, [score for *_, score in expected], rtol=1e-12, atol=1e-15)
    if len({round(score, 12) for *_, score in expected}) == len(expected):
        assert list(zip(found.a.tolist(), found.b.tolist(), strict=True)) == [(x, y) for x, y, _ in expected]


def test_a_hub_does_not_take_all() -> None:
    """A text that is near to everything has the largest cosines, and its pairs small margins."""
    angles = np.radians([0, 40, 80])
    a = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    hub = np.array([[np.cos(np.radians(38)), np.sin(np.radians(38))]], dtype=np.float32)
    b = np.concatenate([a @ np.array([[0.995, 0.1], [-0.1, 0.995]], np.float32), hub])
    forward = mine(a, b, k=2, margin="absolute", retrieval="forward", one_to_one=False)
    assert (forward.b == 3).any()
    assert len(mine(a, b, k=2)) == 3


@pytest.mark.parametrize(("a", "b", "k"), [((2, 3), (2, 4), 1), ((2, 3), (2, 3), 0)])
def test_what_cannot_be_compared(a: tuple[int, int], b: tuple[int, int], k: int) -> None:
    with pytest.raises(ValueError, match=r"width|k: expected"):
        mine(np.ones(a, np.float32), np.ones(b, np.float32), k=k)
