"""Exact search beside faiss's flat index, where that is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from xformer.embedding.search.coded import Coded
from xformer.embedding.search.exact import search

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("faiss") is None, reason="needs faiss-cpu: pip install 'xformer[faiss]'"
)


@pytest.mark.parametrize("queries", [1, 40])
@pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning")
def test_the_same_vectors_are_found(rng: np.random.Generator, queries: int) -> None:
    """Its sums are in float32, its ties in another order: rows agree where scores are apart."""
    import faiss

    vectors = rng.standard_normal((3000, 48)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[2000:] = vectors[:1000]  # a third of them stands there twice
    asked = vectors[rng.integers(0, 3000, queries)]
    index = faiss.IndexFlatIP(48)
    index.add(vectors)
    scores, rows = index.search(asked, 9)
    found = search(asked, [Coded.of(vectors)], 9)
    np.testing.assert_allclose(found.scores, scores, atol=1e-6, rtol=0)
    # What a query finds above the last score is the same set, however equal scores are ordered.
    for ours, theirs, line in zip(found.rows, rows, found.scores, strict=True):
        above = line > line[-1] + 1e-6
        assert set(ours[above].tolist()) == set(theirs[above].tolist())
        assert (np.diff(ours)[line[:-1] == line[1:]] > 0).all()
