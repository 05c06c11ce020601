"""The alignment loss against its definition, written as loops.

Shapes: P pairs, C vector width.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.objectives import alignment_batch, contrastive_loss

SMALL = ModelConfig(vocab_size=40, d_model=8, n_heads=2, n_layers=2, d_ff=8, zero_init_residual=False)
GROUPS = st.lists(st.integers(0, 4), min_size=1, max_size=7)


def _vectors(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    both = torch.randn(2, count, 5, generator=generator, dtype=torch.float64)
    left, right = F.normalize(both, dim=-1)
    return left, right


def _by_definition(
    left: Tensor, right: Tensor, groups: list[int], scale: float, margin: float
) -> list[float]:
    losses = []
    for a, b in ((left, right), (right, left)):
        for i, mine in enumerate(groups):
            true = scale * (float(a[i] @ b[i]) - margin)
            wrong = [scale * float(a[i] @ b[j]) for j, other in enumerate(groups) if other != mine]
            losses.append(math.log(sum(math.exp(s) for s in [true, *wrong])) - true)
    return losses


@given(GROUPS, st.floats(0.1, 30), st.floats(0, 0.9), st.integers(0, 2**32))
def test_the_loss_is_its_definition(groups: list[int], scale: float, margin: float, seed: int) -> None:
    left, right = _vectors(len(groups), seed)
    found = contrastive_loss(left, right, torch.tensor(groups), scale=scale, margin=margin)
    expected = _by_definition(left, right, groups, scale, margin)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_pairs_that_say_the_same_do_not_push_one_another_away() -> None:
    left, right = _vectors(4, 0)
    group = torch.tensor([0, 1, 0, 2])
    moved = right.clone()
    moved[2] = left[0]  # pair 2 says what pair 0 says; however near it is, pair 0 loses nothing
    before = contrastive_loss(left, right, group, scale=20.0, margin=0.3)
    after = contrastive_loss(left, moved, group, scale=20.0, margin=0.3)
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_the_margin_makes_the_true_pair_harder() -> None:
    left, right = _vectors(5, 0)
    group = torch.arange(5)
    easy, hard = (contrastive_loss(left, right, group, scale=20.0, margin=m) for m in (0.0, 0.3))
    assert (hard > easy).all()


def test_gradients_are_right() -> None:
    left, right = _vectors(4, 3)
    group = torch.tensor([0, 1, 0, 2])
    inputs = (left.requires_grad_(), right.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda a, b: contrastive_loss(a, b, group, scale=7.0, margin=0.2), inputs, atol=1e-7
    )


def test_a_single_pair_and_pairs_all_alike_lose_nothing() -> None:
    left, right = _vectors(3, 0)
    for n, group in ((1, [4]), (3, [4, 4, 4])):
        loss = contrastive_loss(left[:n], right[:n], torch.tensor(group), scale=20.0, margin=0.3)
        assert loss.tolist() == [0.0] * (2 * n)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=2, max_size=5), st.integers(0, 99))
@settings(max_examples=8)
def test_texts_are_matched_in_the_order_given_whatever_their_lengths(
    lengths: list[tuple[int, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    left, right = (
        [rng.integers(5, 40, size=pair[side]).astype(np.int32) for pair in lengths] for side in (0, 1)
    )
    pairs = len(lengths)
    model = MultilingualModel(SMALL, "mean").double()
    languages = np.array([*range(pairs), *range(10, 10 + pairs)])
    tokens, sizes = np.concatenate([*left, *right]), np.array([len(ids) for ids in [*left, *right]])
    batch = alignment_batch(tokens, sizes, languages, np.arange(pairs), (pairs,))
    left_vectors, right_vectors = batch.inputs.unsort(model.sentence_vectors(batch.inputs)).chunk(2)
    found = contrastive_loss(left_vectors, right_vectors, batch.group, scale=20.0, margin=0.3)
    alone = [torch.cat([model.sentence_vectors(pack([ids])) for ids in side]) for side in (left, right)]
    expected = contrastive_loss(alone[0], alone[1], torch.arange(pairs), scale=20.0, margin=0.3)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert batch.language.tolist() == [*range(pairs), *range(10, 10 + pairs)]


def test_under_autocast_cosines_keep_fp32() -> None:
    """bf16 has 8 bits: at a scale of 20 a cosine's rounding would be worth 0.08 nats."""
    left, right = (v.float() for v in _vectors(64, 0))
    group = torch.arange(64)
    exact = contrastive_loss(left, right, group, scale=20.0, margin=0.3)
    with torch.autocast("cpu", torch.bfloat16):
        found = contrastive_loss(left, right, group, scale=20.0, margin=0.3)
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-5)
    half = contrastive_loss(left.bfloat16(), right.bfloat16(), group, scale=20.0, margin=0.3)
    assert half.dtype == torch.float32
