"""Bigrams: which row each pair has, that order is what they add, and what hidden tokens have besides."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.bigrams import CONTEXTS, BigramEmbeddings, bigram_rows, context_rows
from xformer.config import ModelConfig
from xformer.errors import InputError
from xformer.interop.huggingface_config import family_of
from xformer.packed import pack
from xformer.run_config import RunConfig

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
    assert BigramEmbeddings(50, 4, mask_id=4)(pack([[], []])).shape == (0, 4)


@given(texts=TEXTS, data=st.data())
@settings(max_examples=60)
def test_a_context_depends_on_its_own_places_in_the_text_alone(
    texts: list[list[int]], data: st.DataObject
) -> None:
    """Other tokens may change and other texts come and go; a token that belongs to it may not."""
    rows = 1 << 20
    batch = pack(texts)
    everywhere = torch.arange(batch.n_tokens)
    found = context_rows(batch.tokens, batch.positions, everywhere, rows)
    assert found.shape == (len(CONTEXTS), batch.n_tokens)
    assert ((found >= 1) & (found < rows)).all()
    if not batch.n_tokens:
        return
    number = data.draw(st.sampled_from([n for n, length in enumerate(batch.lengths) if length]), "text")
    start, length = int(batch.cu_seqlens[number]), batch.lengths[number]
    place = data.draw(st.integers(0, length - 1), "hidden")
    text = batch.tokens[start : start + length].clone()
    alone = torch.arange(length)
    for context, row in zip(CONTEXTS, found[:, start + place].tolist(), strict=True):
        its = {place + step for step in context}
        others = torch.tensor([n not in its for n in range(length)])
        changed = torch.where(others, text + 1, text)
        assert context_rows(changed, alone, alone, rows)[CONTEXTS.index(context), place] == row
        for n in its & set(range(length)):
            changed = text.clone()
            changed[n] += 1
            assert context_rows(changed, alone, alone, rows)[CONTEXTS.index(context), place] != row


def test_the_same_token_is_something_else_elsewhere() -> None:
    """Before and behind, near and far, in each context; and so is the edge of a text."""
    tokens = torch.tensor([9, 9, 4, 9, 9, 9, 4, 9])
    positions = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    rows = context_rows(tokens, positions, torch.tensor([2, 6]), 1 << 20)
    assert len(set(rows[:, 0].tolist())) == len(CONTEXTS)
    shares = [set(context) <= {-1, 1} for context in CONTEXTS]
    assert (rows[:, 0] == rows[:, 1]).tolist() == shares  # one has two tokens on each side, the other one


@pytest.mark.parametrize("sparse", [False, True])
def test_hidden_tokens_alone_have_contexts(sparse: bool) -> None:
    with_them, without = BigramEmbeddings(1 << 16, 4, mask_id=4), BigramEmbeddings(1 << 16, 4)
    with torch.no_grad():
        with_them.weight[1:] = torch.randn(len(with_them.weight) - 1, 4)
        without.weight.copy_(with_them.weight)
    with_them.sparse = sparse
    batch = pack([[7, 4, 9, 4], [7, 8, 9]])
    hidden = batch.tokens == 4
    more = with_them(batch) - without(batch)
    rows = context_rows(batch.tokens, batch.positions, torch.tensor([1, 3]), 1 << 16)
    torch.testing.assert_close(more[hidden], with_them.weight[rows].sum(dim=0))
    torch.testing.assert_close(more[~hidden], torch.zeros(5, 4))
    with_them(batch).sum().backward()
    gradient = with_them.row_gradients[0].values if sparse else with_them.weight.grad
    assert gradient is not None
    assert gradient.sum() == 4 * (2 * 5 + 2 * len(CONTEXTS))  # five pairs to two tokens each, and two hidden


def test_a_compiler_gets_one_graph_and_the_same() -> None:
    """It may not ask which tokens are hidden."""
    table = BigramEmbeddings(1 << 12, 4, mask_id=4)
    with torch.no_grad():
        table.weight[1:] = torch.randn(len(table.weight) - 1, 4)
    batch = pack([[7, 4, 9, 4], [7, 8, 9]])
    compiled = torch.compile(table, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(batch), table(batch))


def test_the_hidden_token_is_the_tokenizers() -> None:
    with pytest.raises(ValueError, match=r"model\.mask_id: expected 4, the tokenizer's, or none, got 5"):
        RunConfig(model=ModelConfig(mask_id=5))


def test_no_architecture_of_hugging_face_has_them() -> None:
    with pytest.raises(InputError, match=r"model\.bigrams: .* 0 is needed, got 4"):
        family_of(ModelConfig())
    assert family_of(ModelConfig(bigrams=0)) == "modernbert"
