"""The dropout mask in Triton is that of the definition, bit for bit."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xformer.kernels.attention import dropout as definition
from xformer.kernels.attention.options import AttentionOptions

triton = pytest.importorskip("triton", reason="triton is not installed")
import triton.language as tl  # noqa: E402

from xformer.kernels.attention.triton.dropout import dropout_mask, row_state  # noqa: E402
from xformer.kernels.attention.triton.operands import dropout_operands  # noqa: E402


@triton.jit(do_not_specialize=["seed_low", "seed_high", "threshold"])
def fill(kept, rows, seed_low, seed_high, threshold, N: tl.constexpr):
    row = tl.load(rows + tl.arange(0, N))
    keys = tl.arange(0, N)
    stays = dropout_mask(row_state(row, seed_low, seed_high)[:, None], keys[None, :], threshold)
    tl.store(kept + tl.arange(0, N)[:, None] * N + keys[None, :], stays.to(tl.int32))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(-(2**63), 2**63 - 1),
    first=st.sampled_from([0, 2**31 - 3, 2**32 - 3, 2**33 + 5, 2**40]),
    dropout=st.floats(0.0, 1.0, exclude_max=True),
)
def test_bits(seed: int, first: int, dropout: float, triton_device: torch.device) -> None:
    rows = first + torch.arange(16, device=triton_device)
    words = dropout_operands(AttentionOptions(1.0, dropout=dropout, seed=seed))
    kept = torch.empty(16, 16, dtype=torch.int32, device=triton_device)
    fill[(1,)](kept, rows, words["seed_low"], words["seed_high"], words["threshold"], N=16)
    expected = definition.dropout_mask(rows[:, None], torch.arange(16, device=triton_device), seed, dropout)
    assert torch.equal(kept.bool(), expected)


def test_the_threshold_is_a_word() -> None:
    assert definition.drop_threshold(0.0) == 0
    assert definition.drop_threshold(0.5) == 2**31
    assert definition.drop_threshold(1.0 - 2**-53) == 2**32 - 1
