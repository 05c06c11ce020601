"""Whether the bound of the first pass holds, and what cannot be rounded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.embedding.search.coded import Coded
from xformer.embedding.search.codes import fast_dtype


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dim=st.integers(1, 300),
    shift=st.sampled_from([0.0, 1.0, 50.0]),
    power=st.integers(-20, 20),
    dtype=st.sampled_from([torch.bfloat16, torch.float32]),
)
def test_no_product_of_copies_is_further_off_than_the_bound(
    seed: int, dim: int, shift: float, power: int, dtype: torch.dtype
) -> None:
    """With a shift all terms have one sign, so that their errors add up; the sum itself is in float64."""
    rng = np.random.default_rng(seed)
    a, b = ((rng.standard_normal((9, dim)) + shift).astype(np.float32) * 2**power for _ in range(2))
    left, right = Coded.of(a, dtype), Coded.of(b, dtype)
    exact = a.astype(np.float64) @ b.astype(np.float64).T
    copies = (left.codes.values.double() @ right.codes.values.double().T).numpy()
    assert np.abs(exact - copies).max() <= left.in_doubt(right)
    assert left.in_doubt(right) <= 0.03 * left.codes.rounding.length * right.codes.rounding.length


def test_the_sums_of_this_machine_keep_the_bound(rng: np.random.Generator) -> None:
    """What the first pass computes, before it is rounded to its dtype, differs by no more than the bound."""
    vectors = np.abs(rng.standard_normal((64, 1024))).astype(np.float32)
    coded = Coded.of(vectors, fast_dtype())
    products = coded.codes.products(coded.codes.values, slice(None)).double().numpy()
    exact = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    rounding = np.abs(products) * torch.finfo(fast_dtype()).eps
    assert (np.abs(exact - products) <= coded.in_doubt(coded) + rounding).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e16])
def test_what_has_no_length_is_refused(bad: float) -> None:
    vectors = np.ones((3, 4), dtype=np.float32)
    vectors[1, 2] = bad
    with pytest.raises(ValueError, match="expected finite vectors"):
        Coded.of(vectors)
