"""Position functions against the papers' formulas, written out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.kernels import relative_buckets, rotary
from xformer.model.config import ModelConfig
from xformer.model.positions import (
    LearnedPositions,
    alibi_slopes,
    rotary_table,
    sinusoidal,
)
from xformer.model.reference import _t5_bucket


def test_sinusoidal_is_the_papers_formula() -> None:
    table = sinusoidal(50, 6)
    for n in (0, 1, 49):
        for i in range(3):
            angle = n / 10_000 ** (2 * i / 6)
            assert table[n, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-14)
            assert table[n, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-14)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 500))
@settings(max_examples=30)
def test_rotated_products_depend_on_the_distance_alone(first: int, second: int, shift: int) -> None:
    table = rotary_table(1001, 8, 100.0)
    generator = torch.Generator().manual_seed(first)
    q, k = torch.randn(2, 1, 1, 8, generator=generator, dtype=torch.float64)

    def turn(x: torch.Tensor, at: int) -> torch.Tensor:
        return rotary(x, x, torch.tensor([at]), *table)[0]

    def product(at_q: int, at_k: int) -> torch.Tensor:
        return (turn(q, at_q) * turn(k, at_k)).sum()

    torch.testing.assert_close(
        product(first, second), product(first + shift, second + shift), rtol=0, atol=1e-10
    )
    torch.testing.assert_close(turn(q, 0), q)
    torch.testing.assert_close(turn(q, first).norm(), q.norm())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rotation_keeps_the_dtype_and_rounds_once(dtype: torch.dtype) -> None:
    x = torch.randn(9, 3, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    cos, sin = rotary_table(9, 8, 100.0)
    positions = torch.arange(9)
    exact, _ = rotary(x.double(), x.double(), positions, cos, sin)
    out, _ = rotary(x, x, positions, cos.float(), sin.float())
    assert out.dtype == dtype
    assert ((out.double() - exact).abs() <= torch.finfo(dtype).eps * exact.abs() + 1e-6).all()


def test_alibi_slopes() -> None:
    assert alibi_slopes(8).tolist() == [2.0**-h for h in range(1, 9)]
    # Between powers of two: those of 4 heads, then the odd ones of 8.
    assert alibi_slopes(6).tolist() == [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3]
    assert alibi_slopes(1).tolist() == [2.0**-8]


@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (4, 9), (8, 20), (64, 512)])
def test_t5_buckets(n_buckets: int, max_distance: int) -> None:
    distance = torch.arange(-600, 601)
    bucket = relative_buckets(distance, n_buckets, max_distance)
    # The reference has a version of its own; the model is right only if the two agree.
    config = ModelConfig(t5_buckets=n_buckets, t5_max_distance=max_distance)
    assert torch.equal(bucket, _t5_bucket(config, distance, causal=False))
    wider = replace(config, t5_max_distance=2 * max_distance)
    behind = relative_buckets(distance, n_buckets, 2 * max_distance, bidirectional=False)
    assert torch.equal(behind, _t5_bucket(wider, distance, causal=True))
    assert not behind[600:].any()
    left, right = bucket[:600].flip(0), bucket[601:]
    assert torch.equal(left + n_buckets // 2, right)
    assert (left.diff() >= 0).all()
    exact = n_buckets // 4
    assert left[: exact - 1].tolist() == list(range(1, exact))
    assert (left[max_distance - 1 :] == n_buckets // 2 - 1).all()
    assert bucket[600] == 0


def test_learned_positions_begin_at_the_offset() -> None:
    module = LearnedPositions(4, 3, offset=2)
    assert module.weight.shape == (6, 3)
    with torch.no_grad():
        module.weight.copy_(torch.arange(18.0).view(6, 3))
    assert torch.equal(module.rows()[[0, 3]], module.weight[[2, 5]])
