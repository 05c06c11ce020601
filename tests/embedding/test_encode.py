"""Encoding: order kept, memory bounded, modes restored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.embedding.encode import encode_tokens, evaluation_mode, length_batches
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 120))
@settings(max_examples=60)
def test_batches_are_each_text_once_and_never_too_large(lengths: list[int], batch_tokens: int) -> None:
    array = np.array(lengths, dtype=np.uint32)
    batches = list(length_batches(array, batch_tokens))
    assert sorted(np.concatenate([*batches, np.zeros(0, dtype=int)]).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch)
        assert array[batch].sum() <= batch_tokens or len(batch) == 1
    longest_first = [int(array[row]) for batch in batches for row in batch]
    assert longest_first == sorted(lengths, reverse=True)


def test_full_batches_are_full() -> None:
    assert [len(batch) for batch in length_batches(np.full(10, 3), 9)] == [3, 3, 3, 1]


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_tokens"):
        next(length_batches(np.array([1]), 0))


@pytest.mark.parametrize("batch_tokens", [1, 7, 1000])
def test_vectors_come_in_the_order_given(tiny_model: ModelConfig, batch_tokens: int) -> None:
    rng = np.random.default_rng(0)
    model = MultilingualModel(tiny_model)
    sequences = [rng.integers(5, tiny_model.rows, n).astype(np.int32) for n in (3, 9, 1, 4, 4, 2)]
    seen: list[tuple[str, int, int | None]] = []
    vectors = encode_tokens(
        model, sequences, batch_tokens=batch_tokens, progress=lambda *call: seen.append(call), what="here"
    )
    alone = torch.cat([model.sentence_vectors(pack([sequence])) for sequence in sequences])
    torch.testing.assert_close(vectors, alone.detach())
    assert vectors.dtype == torch.float32
    assert not vectors.requires_grad
    assert seen[-1] == ("here", 6, 6)


def test_fewer_layers_can_be_asked_for(tiny_model: ModelConfig) -> None:
    model = MultilingualModel(ModelConfig(**{**vars(tiny_model), "zero_init_residual": False}))
    sequences = [np.array([9, 8, 7], dtype=np.int32)]
    one = encode_tokens(model, sequences, n_layers=1)
    assert torch.equal(one, model.sentence_vectors(pack(sequences), n_layers=1).detach())
    assert not torch.allclose(one, encode_tokens(model, sequences))


def test_no_texts_are_no_vectors(tiny_model: ModelConfig) -> None:
    assert len(encode_tokens(MultilingualModel(tiny_model), [])) == 0


def test_each_module_goes_back_to_what_it_did(tiny_model: ModelConfig) -> None:
    model = MultilingualModel(tiny_model).train()
    model.encoder.layers[0].eval()
    before = [module.training for module in model.modules()]
    with evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in model.modules()] == before
    with pytest.raises(IndexError), evaluation_mode(model):
        [].pop()
    assert [module.training for module in model.modules()] == before
    assert torch.is_grad_enabled()
