"""Rollout: two layers by hand, and what must hold of any."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.inspect.analysis.rollout import mixing, rollout

# The heads of layer 0 have the mean [[1, 0], [1/2, 1/2]], those of layer 1 [[0, 1], [1, 0]].
FIRST = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]], dtype=torch.float64)
SECOND = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]], dtype=torch.float64)


def test_two_layers_by_hand() -> None:
    first, second = rollout([FIRST, SECOND])
    assert first.tolist() == [[1.0, 0.0], [0.25, 0.75]]
    # [[1/2, 1/2], [1/2, 1/2]] times the first.
    assert second.tolist() == [[0.625, 0.375], [0.625, 0.375]]
    assert rollout([FIRST, SECOND], residual=0.0)[1].tolist() == [[0.5, 0.5], [1.0, 0.0]]
    assert mixing(SECOND, residual=1.0).tolist() == [[1.0, 0.0], [0.0, 1.0]]


@settings(max_examples=25)
@given(n=st.integers(1, 6), layers=st.integers(1, 4), residual=st.floats(0, 1), seed=st.integers(0, 99))
def test_rows_sum_to_one(n: int, layers: int, residual: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(layers, 2, n, n, generator=generator, dtype=torch.float64).softmax(-1)
    found = rollout(list(weights), residual)
    assert found.shape == (layers, n, n)
    torch.testing.assert_close(found.sum(-1), torch.ones(layers, n, dtype=torch.float64))
    assert bool((found >= 0).all())


def test_what_cannot_be_rolled_out_is_said() -> None:
    with pytest.raises(ValueError, match="a layer"):
        rollout([])
    with pytest.raises(ValueError, match=r"\(H, n, n\)"):
        mixing(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="residual"):
        mixing(FIRST, residual=1.5)
