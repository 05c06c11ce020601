"""Rounded copies: what they hold, and what their products are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.embedding.search.coded import Coded
from xformer.embedding.search.codes import (
    MOST_FOR_INT8,
    Codes,
    Rounding,
    fast_dtype,
    has_int8,
    int8_width,
    rounded,
    rounded_to_int8,
)


def copies_of(codes: Codes, dim: int) -> np.ndarray:
    """The vectors that a copy stands for."""
    assert codes.scales is not None
    found: np.ndarray = (codes.values.double() * codes.scales.double()[:, None])[:, :dim].numpy()
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(0, 40),
    dim=st.integers(1, 100),
    power=st.integers(-40, 40),
    queries=st.integers(1, MOST_FOR_INT8),
)
def test_8_bits_keep_the_bound(seed: int, rows: int, dim: int, power: int, queries: int) -> None:
    """What was rounded is within a step of what it was, and products of it are within the bound."""
    rng = np.random.default_rng(seed)
    vectors = (rng.standard_normal((rows, dim)) * 2.0**power).astype(np.float32)
    asked = rng.standard_normal((queries, dim)).astype(np.float32)
    few = rounded_to_int8(vectors)
    assert few.values.shape == (rows, int8_width(dim))
    assert not few.values[:, dim:].any()
    copies = copies_of(few, dim)
    lengths = np.linalg.norm(vectors.astype(np.float64) - copies, axis=1)
    assert few.rounding.error == pytest.approx(lengths.max(initial=0), rel=1e-9)
    # A step is at most 1/127 of the largest coordinate, or that and the rounding of the scale.
    steps = np.abs(vectors).max(axis=1, initial=0) * (0.5 / 127 + 2**-7)
    assert (np.abs(vectors - copies) <= steps[:, None] + 1e-30).all()
    if not has_int8() or not rows:
        return
    left, right = Coded.of(asked, torch.bfloat16), Coded(vectors, few)
    products = few.products(left.codes.values, slice(None)).double().numpy()
    exact = vectors.astype(np.float64) @ asked.astype(np.float64).T
    allowed = left.in_doubt(right) + np.abs(products) * torch.finfo(torch.bfloat16).eps
    assert (np.abs(products - exact) <= allowed).all()


def test_a_vector_of_zeros_is_one() -> None:
    few = rounded_to_int8(np.zeros((2, 3), np.float32))
    assert not few.values.any()
    assert few.rounding == Rounding(0, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e16])
def test_what_has_no_length_is_refused(bad: float) -> None:
    vectors = np.ones((3, 4), dtype=np.float32)
    vectors[1, 2] = bad
    for make in (rounded_to_int8, lambda some: rounded(some, torch.bfloat16)):
        with pytest.raises(ValueError, match="expected finite vectors"):
            make(vectors)


def test_float32_is_no_rounding() -> None:
    codes = rounded(np.eye(4, dtype=np.float32), torch.float32)
    assert codes.rounding == Rounding(1, 0)
    assert codes.query_dtype == torch.float32
    assert fast_dtype() in (torch.float32, torch.bfloat16)
    assert Rounding(1, 2) | Rounding(3, 1) == Rounding(3, 2)


@pytest.mark.skipif(not has_int8(), reason="PyTorch has no fast product of 8 bits for this CPU")
def test_products_of_8_bits_are_for_a_few_queries() -> None:
    vectors = np.eye(4, dtype=np.float32)
    coded = Coded(vectors, rounded(vectors, torch.bfloat16), rounded_to_int8(vectors))
    assert coded.for_queries(MOST_FOR_INT8).codes is coded.few
    assert coded.for_queries(MOST_FOR_INT8 + 1).codes is coded.codes
    assert Coded(vectors, coded.codes).for_queries(1).codes is coded.codes
    products = coded.for_queries(1).codes.products(torch.eye(4, dtype=torch.bfloat16), slice(1, 3))
    assert products.argmax(dim=1).tolist() == [1, 2]
