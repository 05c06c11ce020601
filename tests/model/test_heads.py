"""Masked-LM head, pooling and classifier."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.heads import Classifier, MaskedLMHead, Pooling, PoolingKind
from xformer.model.packed import pack

SMALL = ModelConfig(vocab_size=31, d_model=8, n_heads=2, d_ff=8, n_layers=1)
KINDS: list[PoolingKind] = ["mean", "first", "weighted"]


def test_logits_of_selected_rows_only_and_a_tied_matrix() -> None:
    encoder, head = Encoder(SMALL), MaskedLMHead(SMALL)
    assert "weight" not in head.state_dict()
    hidden = torch.randn(5, 8, requires_grad=True)
    logits = head(hidden, torch.tensor([3, 0, 3]), encoder.token_embedding)
    assert logits.shape == (3, 31)
    assert torch.equal(logits[0], logits[2])
    logits.sum().backward()
    assert hidden.grad is not None
    assert (hidden.grad[[1, 2, 4]] == 0).all()
    assert encoder.token_embedding.grad is not None
    assert head(hidden, torch.tensor([], dtype=torch.int64), encoder.token_embedding).shape == (0, 31)


@given(st.lists(st.integers(0, 6), max_size=8), st.sampled_from(KINDS), st.booleans())
@settings(max_examples=80)
def test_pooling_sequence_by_sequence(lengths: list[int], kind: PoolingKind, sort: bool) -> None:
    batch = pack([[1] * n for n in lengths], sort=sort)
    hidden = torch.randn(batch.n_tokens, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pooled = batch.unsort(Pooling(4, kind).double()(hidden, batch))
    assert pooled.shape == (len(lengths), 4)
    starts = {number: int(batch.cu_seqlens[place]) for place, number in enumerate(batch.order.tolist())}
    for number, n in enumerate(lengths):
        rows = hidden[starts[number] : starts[number] + n]
        expected = rows.new_zeros(4) if n == 0 else rows[0] if kind == "first" else rows.mean(dim=0)
        torch.testing.assert_close(pooled[number], expected, rtol=0, atol=1e-12)


def test_weighted_pooling_learns_and_survives_large_scores() -> None:
    batch = pack([[1, 2], [3]])
    hidden = torch.tensor([[1000.0, 1.0], [-1000.0, 2.0], [500.0, 3.0]])
    pooling = Pooling(2, "weighted")
    pooling(hidden, batch)[:, 1].sum().backward()
    weight = pooling.get_parameter("weight")
    assert weight.grad is not None
    assert weight.grad[0] < 0
    with torch.no_grad():
        weight.copy_(torch.tensor([1.0, 0.0]))
    assert torch.equal(pooling(hidden, batch), hidden[[0, 2]])


@pytest.mark.parametrize("kind", KINDS)
def test_pooling_of_half_precision_adds_up_in_single(kind: PoolingKind) -> None:
    batch = pack([[1] * 4000])
    hidden = torch.ones(4000, 3, dtype=torch.bfloat16)
    torch.testing.assert_close(Pooling(3, kind)(hidden, batch), torch.ones(1, 3), rtol=0, atol=1e-4)


def test_pooling_of_an_unknown_kind_is_refused() -> None:
    kind: Any = "median"
    with pytest.raises(ValueError, match=r"^pooling: expected one of mean, first, .*, got 'median'$"):
        Pooling(4, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_classifier(kind: PoolingKind) -> None:
    batch = pack([[5, 6], [7], []])
    encoder, head = Encoder(SMALL), Classifier(SMALL, 3, kind)
    logits = head(encoder(batch, final_norm=False), batch)
    assert logits.shape == (3, 3)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    assert all(p.grad is not None for p in head.parameters())
    with pytest.raises(ValueError, match=r"^n_classes: "):
        Classifier(SMALL, 0)
