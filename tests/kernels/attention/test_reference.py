"""The definition: against other people's definitions, and its derivatives against finite differences.

Covers `reference`, `relative_position` and `dropout`.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.kernels.attention_accuracy import Inputs, Problem, draw, solve
from xformer.kernels import attention, relative_buckets
from xformer.kernels.attention.relative_position import farthest_bucketed

FP64 = torch.float64


def test_one_head_by_hand() -> None:
    """Two queries over two keys, in numbers that can be followed."""
    q = torch.tensor([[[1.0]], [[0.0]]])
    k = torch.tensor([[[math.log(3.0)]], [[0.0]]])
    v = torch.tensor([[[1.0]], [[5.0]]])
    starts = torch.tensor([0, 2])
    out, lse = attention(q, k, v, starts, backend="reference", return_lse=True)
    assert torch.allclose(out.flatten(), torch.tensor([3 / 4 * 1 + 1 / 4 * 5, 3.0]))
    assert torch.allclose(lse.flatten(), torch.tensor([math.log(4.0), math.log(2.0)]))


@pytest.mark.parametrize("causal", [False, True])
def test_agrees_with_scaled_dot_product_attention(causal: bool) -> None:
    inputs = draw(Problem((9, 1, 6), n_heads=4, n_kv_heads=2, dtype=FP64, options={"causal": causal}))
    out = solve(inputs, "reference")["out"]
    for start, stop in ((0, 9), (9, 10), (10, 16)):
        q, k, v = (x[start:stop].transpose(0, 1) for x in inputs.leaves.values())
        theirs = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)
        assert torch.allclose(out[start:stop].transpose(0, 1), theirs, atol=1e-12)


def test_window_is_that_of_modernbert() -> None:
    """`window` is ModernBERT's `local_attention`, of which its mask takes half."""
    masking = pytest.importorskip("transformers.masking_utils", reason="transformers is not installed")
    theirs = masking.sliding_window_bidirectional_overlay(8 // 2)
    n = 12
    seen = torch.tensor([[bool(theirs(0, 0, i, j)) for j in range(n)] for i in range(n)])
    inputs = draw(Problem((n,), n_heads=1, n_kv_heads=1, dtype=FP64, options={"window": 8}))
    q, k, v = (x.transpose(0, 1) for x in inputs.leaves.values())
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    assert torch.allclose(solve(inputs, "reference")["out"].transpose(0, 1), expected, atol=1e-12)


def test_buckets_are_those_of_t5() -> None:
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5", reason="transformers is not installed")
    distance = torch.arange(-300, 301)
    for both in (True, False):
        theirs = t5.T5Attention._relative_position_bucket(distance, both, 32, 128)
        assert torch.equal(relative_buckets(distance, 32, 128, both), theirs)


def test_a_sink_is_a_key_without_a_value() -> None:
    """As GPT-OSS has it: one more score in the softmax, dropped from its result."""
    inputs = draw(Problem((5, 3), n_heads=2, n_kv_heads=2, dtype=FP64, sink=True))
    solution = solve(inputs, "reference")
    q, k, v, sink = inputs.leaves.values()
    for start, stop in ((0, 5), (5, 8)):
        score = torch.einsum("ihd,jhd->hij", q[start:stop], k[start:stop]) / 4.0
        joined = torch.cat([score, sink[:, None, None].expand(2, stop - start, 1)], dim=2)
        out = torch.einsum("hij,jhd->ihd", joined.softmax(2)[..., :-1], v[start:stop])
        assert torch.allclose(solution["out"][start:stop], out, atol=1e-12)
        assert torch.allclose(solution["lse"][start:stop], joined.logsumexp(2).T, atol=1e-12)


@pytest.mark.parametrize("max_distance", [9, 20, 128, 5000])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_all_beyond_the_farthest_bucketed_distance_share_a_bucket(
    max_distance: int, bidirectional: bool
) -> None:
    """What kernels rely on: they look no farther."""
    far = farthest_bucketed(max_distance)
    distance = torch.arange(-3 * far, 3 * far)
    buckets = relative_buckets(distance, 16, max_distance, bidirectional)
    assert torch.equal(buckets, relative_buckets(distance.clamp(-far, far), 16, max_distance, bidirectional))
    assert set(buckets[distance <= -max_distance - 1].tolist()) == {7 if bidirectional else 15}


def test_causal_aligns_the_ends() -> None:
    """The last query sees every key, as with a key/value cache; the first of too many queries sees none."""
    inputs = draw(Problem((2, 3), (5, 2), dtype=FP64, options={"causal": True}))
    everything = draw(Problem((2, 3), (5, 2), dtype=FP64))
    causal, full = solve(inputs, "reference"), solve(everything, "reference")
    assert torch.equal(causal["out"][[1, 4]], full["out"][[1, 4]])
    assert not causal["out"][2].any()
    assert causal["lse"][2].isneginf().all()


def test_dropout_keeps_the_mean_and_the_rate() -> None:
    ones = torch.ones(400, 1, 1)
    starts = torch.tensor([0, 400])
    kept = torch.stack(
        [attention(ones, ones, ones, starts, dropout=0.25, seed=s, backend="reference") for s in range(3)]
    )
    # The mean of 480,000 draws: four standard deviations are 0.0033.
    assert abs(float(kept.mean()) - 1.0) < 0.0034
    assert not torch.equal(kept[0], kept[1])
    assert len(set(kept[0].flatten().tolist())) > 20  # rows draw apart


def _differentiable(inputs: Inputs) -> tuple[Any, tuple[Tensor, ...]]:
    names = list(inputs.leaves)
    leaves = tuple(leaf.detach().requires_grad_() for leaf in inputs.leaves.values())

    def function(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        everything: dict[str, Any] = dict(zip(names, tensors, strict=True)) | inputs.arguments
        out, lse = attention(**everything, backend="reference", return_lse=True)
        return out, lse.masked_fill(lse.isneginf(), 0.0)

    return function, leaves


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"causal": True},
    "window": {"window": 2},
    "soft cap": {"softcap": 1.5},
    "dropout": {"dropout": 0.4, "seed": 7},
    "sink": {"causal": True},
}


# torch's own forward mode scripts its decompositions.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("option", OPTIONS)
def test_first_and_second_derivatives(option: str) -> None:
    sink = option == "sink"
    problem = Problem((3, 2, 0), (2, 3, 1), 2, 1, 2, FP64, bias_buckets=8, sink=sink, options=OPTIONS[option])
    function, leaves = _differentiable(draw(problem))
    assert torch.autograd.gradcheck(function, leaves, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, leaves)


@settings(max_examples=20)
@given(n=st.integers(1, 6), m=st.integers(0, 6), causal=st.booleans(), window=st.integers(0, 8))
def test_rows_that_see_something_are_weighted_means(n: int, m: int, causal: bool, window: int) -> None:
    inputs = draw(Problem((n,), (m,), 1, 1, 4, FP64, options={"causal": causal, "window": window}))
    inputs.leaves["v"].fill_(1.0)
    solution = solve(inputs, "reference")
    blind = solution["lse"].isneginf()
    assert torch.allclose(solution["out"], (~blind).double()[..., None].expand(n, 1, 4))
    assert not any(solution[name].isnan().any() for name in solution)
