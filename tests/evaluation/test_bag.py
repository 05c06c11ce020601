"""The bag of subwords: what it computes, that it learns, that it can be kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from xformer.data.shards import TokenShards
from xformer.embedding.encode import encode_tokens
from xformer.errors import InputError
from xformer.evaluation.bag import BagOfSubwords, TrainedBag, train_bag
from xformer.evaluation.retrieval import retrieval
from xformer.model.config import ModelConfig
from xformer.model.packed import pack
from xformer.runs.config import DataConfig, ObjectivesConfig, RunConfig
from xformer.tokenizer import TokenizerOptions


@pytest.fixture(scope="module")
def config(tiny_model: ModelConfig) -> RunConfig:
    return RunConfig(
        model=tiny_model,
        tokenizer=TokenizerOptions(vocabulary_size=tiny_model.rows),
        data=DataConfig(max_length=32),
        objectives=ObjectivesConfig(
            masked_lm_tokens=64, translation_lm_tokens=64, alignment_tokens=640, embedding_warmup_tokens=640
        ),
    )


@pytest.fixture(scope="module")
def trained(parallel_train: TokenShards, config: RunConfig) -> TrainedBag:
    return train_bag(parallel_train, config, steps=80)


def mean_top1(bag: BagOfSubwords, shards: TokenShards) -> float:
    vectors = encode_tokens(bag, shards)
    return retrieval(vectors, np.asarray(shards.group), np.asarray(shards.language), pivot=1).mean_top1


def test_vectors_are_unit_means() -> None:
    bag = BagOfSubwords(20, 6)
    sequences = [[1, 2, 2], [], [7, 8, 9, 10], [3]]
    vectors = encode_tokens(bag, [np.array(sequence, dtype=np.int32) for sequence in sequences])
    for vector, sequence in zip(vectors, sequences, strict=True):
        weights = bag.weight.detach()[sequence]
        expected = F.normalize(weights.mean(dim=0), dim=0) if sequence else torch.zeros(6)
        torch.testing.assert_close(vector, expected)


def test_the_gradient_is_that_of_the_plain_mean() -> None:
    bag = BagOfSubwords(20, 6).double()
    batch = pack([[1, 2, 2], [7, 8, 9, 10], [3]])
    probe = torch.randn(3, 6, dtype=torch.float64)
    bag.sentence_vectors(batch).mul(probe).sum().backward()
    weight = bag.weight.detach().clone().requires_grad_()
    rows = [weight[part].mean(dim=0) for part in batch.tokens.split(list(batch.lengths))]
    F.normalize(torch.stack(rows), dim=-1).mul(probe).sum().backward()
    torch.testing.assert_close(bag.weight.grad, weight.grad)


def test_it_learns_a_dictionary(
    trained: TrainedBag, parallel_train: TokenShards, parallel_test: TokenShards, config: RunConfig
) -> None:
    at_first = train_bag(parallel_train, config, steps=1)
    assert mean_top1(at_first.bag, parallel_test) < 0.1
    assert mean_top1(trained.bag, parallel_test) > 0.95
    assert trained.record.loss < at_first.record.loss / 2
    assert trained.record.steps == 80
    assert trained.record.pairs == pytest.approx(64, abs=2)
    assert 0 <= trained.record.waited <= trained.record.seconds


def test_the_same_steps_give_the_same_bag(parallel_train: TokenShards, config: RunConfig) -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    one = train_bag(parallel_train, config, steps=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    two = train_bag(parallel_train, config, steps=3)
    assert torch.equal(one.bag.weight, two.bag.weight)
    other = replace(config, training=replace(config.training, seed=1))
    assert not torch.equal(one.bag.weight, train_bag(parallel_train, other, steps=3).bag.weight)


def test_other_objectives_leave_it_alone(parallel_train: TokenShards, config: RunConfig) -> None:
    alone = replace(config.objectives, masked_lm_tokens=0, translation_lm_tokens=0)
    one = train_bag(parallel_train, config, steps=2)
    two = train_bag(parallel_train, replace(config, objectives=alone), steps=2)
    assert torch.equal(one.bag.weight, two.bag.weight)


def test_a_run_without_alignment_has_the_baseline_too(parallel_train: TokenShards, config: RunConfig) -> None:
    without = replace(config, objectives=replace(config.objectives, alignment_tokens=0))
    assert (
        train_bag(parallel_train, without, steps=1).record.pairs
        == train_bag(parallel_train, config, steps=1).record.pairs
    )


def test_time_ends_it(parallel_train: TokenShards, config: RunConfig) -> None:
    said: list[tuple[str, int, int | None]] = []
    trained = train_bag(parallel_train, config, seconds=0.5, progress=lambda *call: said.append(call))
    assert trained.record.steps >= 1
    assert trained.record.seconds >= 0.5
    assert {what for what, _, _ in said} == {"bag of subwords"}


def test_it_can_be_kept(trained: TrainedBag, tmp_path: Path) -> None:
    path = tmp_path / "baselines" / "bag.safetensors"
    trained.save(path)
    loaded = TrainedBag.load(path)
    assert torch.equal(loaded.bag.weight, trained.bag.weight)
    assert loaded.record == trained.record
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_other_files_are_refused(trained: TrainedBag, tmp_path: Path) -> None:
    path = tmp_path / "bag.safetensors"
    with pytest.raises(InputError, match=r"bag\.safetensors: expected a bag"):
        TrainedBag.load(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(InputError, match=r"bag\.safetensors: expected a bag"):
        TrainedBag.load(path)
    save_file({"weight": torch.zeros(2, 2)}, path)
    with pytest.raises(InputError, match=r"bag\.safetensors: expected a bag"):
        TrainedBag.load(path)
    trained.save(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"bag\.safetensors: expected a bag"):
        TrainedBag.load(path)
