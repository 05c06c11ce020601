"""Exact search against sorting all products. Covers `best` and `scan`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.embedding.search import scan as scanning
from xformer.embedding.search.coded import Coded
from xformer.embedding.search.codes import has_int8, rounded, rounded_to_int8
from xformer.embedding.search.exact import search
from xformer.embedding.worker_threads import using_threads


def by_sorting(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The definition."""
    scores = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(scores, rows, axis=1)


@settings(max_examples=80, deadline=None)
@given(
    q=st.integers(0, 9),
    sizes=st.lists(st.integers(0, 40), max_size=3),
    dim=st.integers(1, 9),
    k=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
    steps=st.sampled_from([1, 2, 1000]),
    tile=st.tuples(st.integers(1, 9), st.integers(1, 99), st.integers(1, 50)),
    first_pass=st.sampled_from([torch.bfloat16, torch.float32, torch.int8]),
    threads=st.integers(1, 3),
)
def test_it_is_the_start_of_a_sorted_list(
    q: int,
    sizes: list[int],
    dim: int,
    k: int,
    seed: int,
    steps: int,
    tile: tuple[int, int, int],
    first_pass: torch.dtype,
    threads: int,
) -> None:
    """Coordinates are whole numbers of 2⁻¹⁰, so products are exact; with few steps there are many ties."""
    rng = np.random.default_rng(seed)

    def some(rows: int) -> np.ndarray:
        return (rng.integers(-steps, steps + 1, (rows, dim)) / 1024).astype(np.float32)

    def coded(part: np.ndarray) -> Coded:
        if first_pass != torch.int8:
            return Coded.of(part, first_pass)
        return Coded(part, rounded(part, torch.bfloat16), rounded_to_int8(part) if has_int8() else None)

    queries, parts = some(q), [some(size) for size in sizes]
    with pytest.MonkeyPatch.context() as patch, using_threads(threads):
        for name, value in zip(("_QUERIES_AT_ONCE", "_CELLS_AT_ONCE", "_MOST_ROWS"), tile, strict=True):
            patch.setattr(scanning, name, value)
        found = search(queries, [coded(part) for part in parts], k)
    rows, scores = by_sorting(queries, np.concatenate([np.empty((0, dim), np.float32), *parts]), k)
    np.testing.assert_array_equal(found.scores, scores)
    np.testing.assert_array_equal(found.rows, rows)
