"""Attention's cases and their truth."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.benchmarks.kernels.operations import attention_truth
from xformer.benchmarks.kernels.operations.attention import Attention
from xformer.benchmarks.kernels.operations.attention_cases import AttentionCase, dense, ragged
from xformer.benchmarks.kernels.operations.attention_peers import pad, unpad
from xformer.benchmarks.kernels.operations.attention_truth import by_autograd, by_hand
from xformer.benchmarks.kernels.operations.lengths import messages
from xformer.kernels import attention
from xformer.kernels.testing import distances

CPU = torch.device("cpu")
LENGTHS = (7, 4, 4, 1)
SMALL = AttentionCase("small", "small", LENGTHS, n_heads=2, d_head=8)
KINDS = [
    SMALL,
    AttentionCase("causal", "", LENGTHS, 2, 8, causal=True),
    AttentionCase("window", "", LENGTHS, 2, 8, window=4),
    AttentionCase("bias", "", LENGTHS, 2, 8, bias=True),
    AttentionCase("everything", "", LENGTHS, 2, 8, causal=True, window=4, bias=True),
    AttentionCase("dense bias", "", (5, 5), 2, 8, bias=True),
    AttentionCase("dense window", "", (5, 5), 2, 8, window=2),
    AttentionCase("dense causal", "", (5, 5), 2, 8, causal=True),
]


@pytest.mark.parametrize("lengths", [(), (3, 0), (1, 2)])
def test_a_case_refuses_other_lengths(lengths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="lengths"):
        AttentionCase("wrong", "", lengths, 1, 8)


def test_flops() -> None:
    """The count of the literature: 4·B·H·N²·D forward, 3.5 times that with backward."""
    case = dense(10, 30, 2, 8)
    assert case.amount(torch.float16, "forward").flops == 4 * 3 * 2 * 100 * 8
    assert case.amount(torch.float16, "forward+backward").flops == 14 * 3 * 2 * 100 * 8
    assert case.amount(torch.float16, "forward").bytes == 4 * 30 * 2 * 8 * 2


@given(length=st.integers(1, 40), causal=st.booleans(), window=st.none() | st.integers(0, 60))
@settings(max_examples=50)
def test_only_what_is_seen_counts(length: int, causal: bool, window: int | None) -> None:
    seen = [
        (i, j)
        for i in range(length)
        for j in range(length)
        if (not causal or j <= i) and (window is None or abs(i - j) <= window // 2)
    ]
    case = AttentionCase("", "", (length, length), 1, 8, causal, window=window)
    assert case.pairs == 2 * len(seen)


def test_names_tell_the_options() -> None:
    case = dense(64, 128, 4, 64, True, window=16)
    assert (case.sweep, case.name) == ("dense d64 causal window 16", "dense d64 causal window 16 N=64")
    assert ragged(messages(), 500, 4, 32, bias=True).name == "ragged d32 bias messages 500"
    assert dense(1024, 128, 1, 8).n_tokens == 1024, "one sequence at least"


def test_padding_and_back() -> None:
    packed = torch.randn(SMALL.n_tokens, 2, 8)
    padded = pad(packed, SMALL)
    assert padded.shape == (4, 2, 7, 8)
    assert torch.equal(unpad(padded, SMALL), packed)
    assert torch.equal(padded[2, 1, 3], packed[7 + 4 + 3, 1])
    assert not padded[3, :, 1:].any()


@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.name)
def test_truth_is_what_autograd_and_the_definition_say(case: AttentionCase) -> None:
    """Three derivations of the same numbers: by hand, by autograd, and the kernels' own definition."""
    inputs = Attention().draw(case, torch.float64, CPU, seed=0)
    true = by_hand(case, inputs)
    assert max(distances(by_autograd(case, inputs), true).values()) < 1e-13
    leaves = {name: x.clone().requires_grad_() for name, x in inputs.leaves.items()}
    out = attention(
        leaves["q"],
        leaves["k"],
        leaves["v"],
        starts(case.lengths),
        bias_table=leaves.get("bias_table"),
        causal=case.causal,
        window=case.window,
        backend="reference",
    )
    grads = torch.autograd.grad(out, list(leaves.values()), inputs.grads["out"])
    found = {"out": out.detach(), **{f"d{name}": x for name, x in zip(leaves, grads, strict=True)}}
    assert set(found) == set(true)
    assert max(distances(found, true).values()) < 1e-13


@pytest.mark.parametrize("case", [SMALL, KINDS[4]], ids=lambda case: case.name)
def test_truth_in_blocks_of_heads(case: AttentionCase, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Attention().draw(case, torch.float64, CPU, seed=0)
    whole = by_hand(case, inputs)
    monkeypatch.setattr(attention_truth, "LARGEST_BLOCK", 1)
    for compute in (by_hand, by_autograd):
        for name, value in compute(case, inputs).items():
            torch.testing.assert_close(value, whole[name], rtol=0, atol=1e-13)


def starts(lengths: Sequence[int]) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
