"""Which texts are compared, and that each layer's vectors are the model's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from xformer.data.shards import TokenShards
from xformer.embedding.encode import encode_texts
from xformer.errors import InputError
from xformer.evaluation.space import ParallelTexts, layer_vectors, measure_space
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel

MakeShards = Callable[..., TokenShards]


def test_texts_without_a_translation_are_left_out(make_shards: MakeShards) -> None:
    # Groups 0 and 1 are in en (1), 2 is not; de (0) has two texts of group 0; fr (2) is in one group alone.
    shards = make_shards(
        [[300 + n] for n in range(7)], language=[1, 1, 0, 0, 0, 0, 2], group=[0, 1, 0, 0, 1, 2, 0]
    )
    texts = ParallelTexts.of(shards, "en", least=2)
    assert texts.examples.tolist() == [0, 1, 2, 4]
    assert texts.languages == (0,)
    left, right = texts.with_pivot(0)
    assert texts.group[left.numpy()].tolist() == texts.group[right.numpy()].tolist() == [0, 1]
    with pytest.raises(InputError, match=r"data\.pivot: expected one of .*'xx'"):
        ParallelTexts.of(shards, "xx")
    with pytest.raises(InputError, match="with 3 texts or more"):
        ParallelTexts.of(shards, "en", least=3)


def test_a_sample_takes_whole_groups(parallel_test: TokenShards) -> None:
    texts = ParallelTexts.of(parallel_test, "en", most=20)
    assert len(np.unique(texts.group)) == 20
    assert np.bincount(texts.language).tolist() == [20, 20, 20, 20]


def test_each_layer(parallel_test: TokenShards, tiny_model: ModelConfig) -> None:
    torch.manual_seed(0)
    model = MultilingualModel(tiny_model, "weighted")
    for block in model.encoder.layers:  # away from the identity that they begin as
        torch.nn.init.normal_(block.mlp.Wo.weight, std=0.5)  # type: ignore[union-attr, arg-type]
    texts = ParallelTexts.of(parallel_test, "en", most=30)
    layers = layer_vectors(model, texts, batch_tokens=64)
    sequences = [parallel_test[int(example)] for example in texts.examples]
    for depth, vectors in enumerate(layers):
        torch.testing.assert_close(vectors, encode_texts(model, sequences, n_layers=depth))
    space = measure_space(texts, layers)
    assert space.pivot == "en"
    assert set(space.top1) == set(space.alignment) == set(space.hubness) == {"de", "fr", "pl"}
    assert space.alignment_by_layer[-1] == pytest.approx(np.mean(list(space.alignment.values())))
    assert len(space.anisotropy_by_layer) == len(space.centroid_gap_by_layer) == tiny_model.n_layers + 1


def test_a_perfect_space(parallel_test: TokenShards) -> None:
    """Every text of a group at one point of its own."""
    texts = ParallelTexts.of(parallel_test, "en", most=30)
    _, place = np.unique(texts.group, return_inverse=True)
    space = measure_space(texts, [torch.eye(30)[torch.from_numpy(place)]])
    assert set(space.top1.values()) == {1.0}
    assert space.alignment_by_layer[0] == pytest.approx(1.0)
    assert space.centroid_gap_by_layer[0] == pytest.approx(0.0, abs=1e-9)
