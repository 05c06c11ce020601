"""A step of generation means what packed attention means."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.kernels import attention, attention_step


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2**31),
)
@settings(max_examples=50)
def test_it_is_attention_over_the_keys_that_are_not_hidden(
    lengths: list[int], n_queries: int, heads: int, scaled: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    size, n_keys = 4, max(lengths) + 1

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    q = drawn(len(lengths), heads, n_queries, size)
    k, v = (drawn(len(lengths), n_keys, heads, size).transpose(1, 2) for _ in range(2))
    seen = torch.arange(n_keys) < torch.tensor(lengths)[:, None]
    hidden = torch.zeros(seen.shape, dtype=torch.float64).masked_fill(~seen, -torch.inf)[:, None, None]
    scale = 0.3 if scaled else None
    out = attention_step(q, k, v, hidden, scale=scale)
    starts = torch.arange(len(lengths) + 1, dtype=torch.int32) * n_queries
    ends = torch.tensor([0, *lengths]).cumsum(0).int()
    k_packed, v_packed = (x.transpose(1, 2)[seen] for x in (k, v))
    rows = q.transpose(1, 2).flatten(0, 1)
    expected = attention(rows, k_packed, v_packed, starts, ends, scale=scale)
    torch.testing.assert_close(out.transpose(1, 2).flatten(0, 1), expected, rtol=0, atol=1e-12)
    whole = attention_step(q, k, v, scale=scale)
    everything = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(whole, attention_step(q, k, v, everything, scale=scale), rtol=0, atol=1e-12)


def test_no_key_gives_zeros_and_shapes_are_checked() -> None:
    q = torch.randn(2, 3, 1, 4)
    assert torch.equal(attention_step(q, q[:, :, :0], q[:, :, :0]), torch.zeros_like(q))
    with pytest.raises(ValueError, match=r"^k, v: expected two tensors \(2, 3, N, 4\), got \(2, 2, 1, 4\)"):
        attention_step(q, q[:, :2], q[:, :2])
