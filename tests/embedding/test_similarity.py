"""Cosines, in blocks or not."""

from __future__ import annotations

import numpy as np
import pytest

from xformer.embedding import similarity
from xformer.embedding.similarity import cosines, rows_of_numbers
from xformer.errors import InputError


@pytest.mark.parametrize("at_once", [1, 3, 4096])
def test_cosines_are_those_of_the_definition(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, at_once: int
) -> None:
    monkeypatch.setattr(similarity, "_AT_ONCE", at_once)
    a, b = rng.normal(size=(5, 8)), rng.normal(size=(7, 8))
    a[2] = 0
    found = cosines(a, b)
    assert found.dtype == np.float32
    lengths = np.maximum(np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1), 1e-12)
    np.testing.assert_allclose(found, a @ b.T / lengths, atol=1e-6)
    assert not found[2].any()


def test_nothing_is_like_nothing() -> None:
    assert cosines(np.zeros((0, 3)), np.ones((2, 3))).shape == (0, 2)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones(3), np.ones((1, 3)), r"a: expected texts or vectors \(E, D\), got an array of shape \(3,\)"),
        (np.ones((1, 3)), np.ones((1, 4)), "expected vectors of one width, got 3 and 4"),
    ],
)
def test_what_is_no_matrix_is_refused(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cosines(a, b)


def test_a_list_of_numbers_is_one_vector_and_ragged_rows_are_refused() -> None:
    assert rows_of_numbers([1.0, 2.0]).shape == (1, 2)
    assert rows_of_numbers([[1, 2], [3, 4], [5, 6]]).shape == (3, 2)
    for wrong in ([[1, 2], [3]], [None], [object()]):
        with pytest.raises(
            InputError, match="expected texts, or vectors of one width, got a list that begins"
        ):
            rows_of_numbers(wrong)
