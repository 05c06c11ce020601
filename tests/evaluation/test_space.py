"""Vectors of each layer are the model's own, and the scores of spaces that are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from xformer.data.shards import TokenShards
from xformer.embedding.encode import encode_tokens
from xformer.evaluation.parallel_texts import ParallelTexts
from xformer.evaluation.space import layer_vectors, measure_space
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel

MakeShards = Callable[..., TokenShards]


def test_each_layer(parallel_test: TokenShards, tiny_model: ModelConfig) -> None:
    torch.manual_seed(0)
    model = MultilingualModel(tiny_model, "weighted")
    for block in model.encoder.layers:  # away from the identity that they begin as
        torch.nn.init.normal_(block.mlp.Wo.weight, std=0.5)  # type: ignore[union-attr, arg-type]
    texts = ParallelTexts.of(parallel_test, "en", most=30)
    layers = layer_vectors(model, texts, batch_tokens=64)
    sequences = [parallel_test[int(example)] for example in texts.examples]
    for depth, vectors in enumerate(layers):
        torch.testing.assert_close(vectors, encode_tokens(model, sequences, n_layers=depth))
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
