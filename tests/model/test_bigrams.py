"""Bigrams: which row each pair has, and that order is what they add."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.errors import InputError
from xformer.model.bigrams import BigramEmbeddings, bigram_rows
from xformer.model.config import ModelConfig
from xformer.model.families import family_of
from xformer.model.packed import pack

TEXTS = st.lists(st.lists(st.integers(0, 2**17), max_size=9), min_size=1, max_size=6)


@given(texts=TEXTS, rows=st.integers(2, 2**20))
@settings(max_examples=60)
def test_a_row_depends_on_the_two_tokens_alone(texts: list[list[int]], rows: int) -> None:
    batch = pack(texts)
    found = bigram_rows(batch.tokens, batch.positions, rows)
    assert found.shape == batch.tokens.shape
    starts = batch.cu_seqlens.tolist()
    for begin, end in itertools.pairwise(starts):
        of_text = found[begin:end].tolist()
        assert of_text[:1] == [0] * len(of_text[:1])  # nothing stands before it
        tokens = batch.tokens[begin:end].tolist()
        for pair, row in zip(itertools.pairwise(tokens), of_text[1:], strict=True):
            alone = pack([list(pair)])
            assert bigram_rows(alone.tokens, alone.positions, rows)[1] == row
            assert 1 <= row < rows


def test_pairs_spread_evenly_over_the_rows() -> None:
    """As evenly as balls thrown at bins: the variance of a bin is its mean."""
    first, second = torch.meshgrid(torch.arange(300), torch.arange(300), indexing="ij")
    tokens = torch.stack([first.flatten(), second.flatten()], dim=1).flatten()
    positions = torch.tensor([0, 1]).repeat(90_000)
    counts = torch.bincount(bigram_rows(tokens, positions, 1_001)[1::2], minlength=1_001)[1:].double()
    assert counts.mean() == 90.0
    assert 0.8 < float(counts.var() / counts.mean()) < 1.25


def test_order_matters() -> None:
    tokens, positions = torch.tensor([8, 9, 9, 8]), torch.tensor([0, 1, 0, 1])
    rows = bigram_rows(tokens, positions, 1 << 20).tolist()
    assert rows[1] != rows[3]


@pytest.mark.parametrize("sparse", [False, True])
def test_both_of_a_pair_get_it(sparse: bool) -> None:
    table = BigramEmbeddings(1 << 16, 4)
    table.sparse = sparse
    batch = pack([[7, 8, 9], [7, 8], [5]])
    assert not table(batch).any()  # it starts at zero
    with torch.no_grad():
        table.weight[1:] = torch.randn(len(table.weight) - 1, 4)
    (_, first, second, *_) = table.weight[bigram_rows(batch.tokens, batch.positions, len(table.weight))]
    torch.testing.assert_close(
        table(batch), torch.stack([first, first + second, second, first, first, torch.zeros(4)])
    )
    table(batch).sum().backward()
    if sparse:
        assert table.weight.grad is None
        (found,) = table.row_gradients
        dense = torch.zeros(len(table.weight), 4).index_add(0, found.rows, found.values)
    else:
        assert table.weight.grad is not None
        dense = table.weight.grad
    assert not dense[0].any()  # nor does what has no neighbour learn
    assert dense.sum() == 4 * 2 * 3  # three pairs, each given to both of its tokens


def test_nothing_has_no_pairs() -> None:
    assert BigramEmbeddings(50, 4)(pack([[], []])).shape == (0, 4)


def test_no_architecture_of_hugging_face_has_them() -> None:
    with pytest.raises(InputError, match=r"model\.bigrams: expected 0, since .*, got 4"):
        family_of(ModelConfig(bigrams=4))
    assert family_of(ModelConfig()) == "modernbert"
