"""A whole evaluation on a synthetic corpus: what is compared with what, and that nothing but the data decides
it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from tests.evaluation.example_report import retrieval_of
from xformer.data.shards import TokenShards
from xformer.embedding.encode import encode_tokens
from xformer.errors import InputError
from xformer.evaluation.bag import TrainedBag, train_bag
from xformer.evaluation.evaluate import evaluate_model
from xformer.evaluation.plan import EvaluationPlan
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.retrieval import retrieval
from xformer.model.config import ModelConfig, Positions
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.runs.config import DataConfig, ObjectivesConfig, RunConfig
from xformer.tokenizer import Tokenizer, TokenizerOptions


class OneByteATokenizer(Tokenizer):
    """Stands for a tokenizer where only its byte lengths are asked for."""

    def __init__(self, vocab_size: int) -> None:
        self._size = vocab_size

    def byte_lengths(self) -> np.ndarray:
        return np.ones(self._size, dtype=np.int64)


def evaluated(
    model: MultilingualModel,
    tokenizer: Tokenizer,
    train: TokenShards,
    held_out: TokenShards,
    *,
    pivot: str,
    dev: TokenShards | None = None,
    min_messages: int | None = None,
    **options: Any,
) -> EvaluationReport:
    """Plan and evaluate."""
    plan = EvaluationPlan.of(held_out, pivot, dev=dev, pivot=pivot, min_messages=min_messages)
    return evaluate_model(model, tokenizer, train, plan, **options)


@pytest.fixture(scope="module")
def bag(parallel_train: TokenShards, tiny_model: ModelConfig) -> TrainedBag:
    config = RunConfig(
        model=tiny_model,
        tokenizer=TokenizerOptions(vocabulary_size=tiny_model.vocab_size),
        data=DataConfig(max_length=32),
        objectives=ObjectivesConfig(alignment_tokens=640, embedding_warmup_tokens=640),
    )
    return train_bag(parallel_train, config, steps=60)


@pytest.fixture(scope="module")
def model(tiny_model: ModelConfig) -> MultilingualModel:
    """Not trained, but not the untrained model either: its blocks do something."""
    torch.manual_seed(11)
    return MultilingualModel(replace(tiny_model, zero_init_residual=False, init_std=0.2))


@pytest.fixture(scope="module")
def report(
    model: MultilingualModel, parallel_train: TokenShards, parallel_test: TokenShards, bag: TrainedBag
) -> EvaluationReport:
    tokenizer = OneByteATokenizer(model.config.rows)
    return evaluated(
        model, tokenizer, parallel_train, parallel_test, pivot="en", bag=bag, step=7, min_messages=100
    )


def test_it_holds_what_the_parts_give(
    report: EvaluationReport, model: MultilingualModel, parallel_test: TokenShards, bag: TrainedBag
) -> None:
    group, language = np.asarray(parallel_test.group), np.asarray(parallel_test.language)
    found = retrieval(encode_tokens(model, parallel_test), group, language, pivot=1)
    by_bag = retrieval(encode_tokens(bag.bag, parallel_test), group, language, pivot=1)
    scores = retrieval_of(report)
    assert (scores.pivot, scores.candidates, scores.min_messages) == ("en", 150, 100)
    assert set(scores.languages) == {"de", "fr", "pl"}
    assert scores.mean_top1 == pytest.approx(found.mean_top1)
    assert scores.bag_mean_top1 == pytest.approx(by_bag.mean_top1)
    assert scores.bag_mean_top1 is not None
    assert scores.bag_mean_top1 > 0.9
    polish, expected = scores.languages["pl"], found.languages[2]
    assert (polish.to_pivot_top1, polish.from_pivot_mrr) == pytest.approx(
        (expected.to_pivot.top1, expected.from_pivot.mrr)
    )
    assert polish.top1 == pytest.approx((polish.to_pivot_top1 + polish.from_pivot_top1) / 2)
    assert polish.bag_top1 == pytest.approx(by_bag.languages[2].top1)
    assert report.step == 7
    assert report.messages == 150
    assert report.texts == 600
    assert report.bag == bag.record


def test_the_layer_of_retrieval_is_the_best_on_dev(
    model: MultilingualModel, parallel_train: TokenShards, parallel_test: TokenShards, bag: TrainedBag
) -> None:
    tokenizer = OneByteATokenizer(model.config.rows)
    scores = retrieval_of(
        evaluated(model, tokenizer, parallel_train, parallel_test, pivot="en", bag=bag, dev=parallel_test)
    )
    group, language = np.asarray(parallel_test.group), np.asarray(parallel_test.language)
    expected = [
        retrieval(encode_tokens(model, parallel_test, n_layers=layer), group, language, pivot=1).mean_top1
        for layer in range(model.config.n_layers + 1)
    ]
    assert len(set(expected)) > 1
    assert scores.dev_top1_by_layer == pytest.approx(expected)
    assert scores.layer == int(np.argmax(expected))
    assert scores.mean_top1 == pytest.approx(max(expected))


def test_the_unigram_model_beats_the_untrained_one(report: EvaluationReport) -> None:
    mlm = report.mlm
    assert set(mlm.bits_per_byte) == {"de", "en", "fr", "pl"} == set(mlm.hidden_tokens)
    # Each language has forty words, all equally frequent.
    assert mlm.unigram_mean_bits_per_byte == pytest.approx(np.log2(40), abs=0.1)
    assert mlm.untrained_mean_bits_per_byte > mlm.unigram_mean_bits_per_byte + 1
    assert mlm.mean_bits_per_byte == pytest.approx(np.mean(list(mlm.bits_per_byte.values())))


def test_the_same_seed_gives_the_same_report(
    report: EvaluationReport,
    model: MultilingualModel,
    parallel_train: TokenShards,
    parallel_test: TokenShards,
    bag: TrainedBag,
) -> None:
    model.train()
    state = torch.random.get_rng_state()
    tokenizer = OneByteATokenizer(model.config.rows)
    again = evaluated(
        model, tokenizer, parallel_train, parallel_test, pivot="en", bag=bag, step=7, min_messages=100
    )
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert replace(again, seconds={}) == replace(report, seconds={})


def test_the_order_of_examples_changes_nothing(
    report: EvaluationReport,
    model: MultilingualModel,
    parallel_train: TokenShards,
    parallel_test: TokenShards,
    bag: TrainedBag,
    make_shards: Callable[..., TokenShards],
) -> None:
    order = np.random.default_rng(0).permutation(len(parallel_test))
    shuffled = make_shards(
        [parallel_test[int(i)].tolist() for i in order],
        parallel_test.language[order],
        parallel_test.group[order],
    )
    tokenizer = OneByteATokenizer(model.config.rows)
    other = evaluated(
        model, tokenizer, parallel_train, shuffled, pivot="en", bag=bag, min_messages=100, batch_tokens=700
    )
    assert other.mlm.hidden_tokens == report.mlm.hidden_tokens
    assert other.mlm.bits_per_byte == pytest.approx(report.mlm.bits_per_byte, rel=1e-5)
    for tag, scores in retrieval_of(report).languages.items():
        assert vars(retrieval_of(other).languages[tag]) == pytest.approx(vars(scores), rel=1e-6)


@pytest.mark.parametrize("positions", get_args(Positions))
def test_untrained_blocks_need_not_be_run(tiny_model: ModelConfig, positions: Positions) -> None:
    model = MultilingualModel(replace(tiny_model, positions=positions)).eval()
    batch = pack([[9, 8, 7, 300], [10, 11]])
    whole, none = model.encoder(batch), model.encoder(batch, n_layers=0)
    assert torch.equal(whole, none)


def test_untrained_blocks_that_do_something_are_run(
    parallel_train: TokenShards, parallel_test: TokenShards, bag: TrainedBag, tiny_model: ModelConfig
) -> None:
    """The untrained model of a post-norm architecture is what it is with all its blocks."""
    config = replace(tiny_model, norm_position="post", init_std=0.3)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        fresh = MultilingualModel(config)
    tokenizer = OneByteATokenizer(config.rows)
    report = evaluated(
        fresh, tokenizer, parallel_train, parallel_test, pivot="en", bag=bag, seed=5, min_messages=100
    )
    assert retrieval_of(report).untrained_mean_mrr == pytest.approx(retrieval_of(report).mean_mrr)
    assert report.mlm.untrained_bits_per_byte == pytest.approx(report.mlm.bits_per_byte)


def test_pieces_and_second_forms_are_not_retrieved(
    model: MultilingualModel,
    parallel_train: TokenShards,
    bag: TrainedBag,
    make_shards: Callable[..., TokenShards],
) -> None:
    """Six messages in two languages; one of them was cut in English, and one has a plural in German."""
    sequences = [[300 + n, 310 + n] for n in range(6)] + [[330 + n, 350 + n] for n in range(6)]
    group, language, pieces = [*range(6), *range(6)], [0] * 6 + [1] * 6, [1] * 12
    pieces[6] = 2
    sequences.append([390, 391])
    group.append(3)
    language.append(0)
    pieces.append(1)
    shards = make_shards(sequences, language, group, pieces=pieces)
    tokenizer = OneByteATokenizer(model.config.rows)
    report = evaluated(
        model, tokenizer, parallel_train, shards, pivot="en", bag=bag, min_messages=1, rate=0.5
    )
    assert retrieval_of(report).candidates == 5
    assert retrieval_of(report).languages["de"].messages == 5


def test_how_many_messages_count(
    model: MultilingualModel,
    parallel_train: TokenShards,
    parallel_test: TokenShards,
    bag: TrainedBag,
    make_shards: Callable[..., TokenShards],
) -> None:
    """Left out, the fewest messages are 100, or half of a smaller split's."""
    tokenizer = OneByteATokenizer(model.config.rows)
    # Ten English messages; five of them in German, four in French.
    sequences = [[300 + n, 320 - n] for n in range(10)] + [[340 + n, 360] for n in range(9)]
    shards = make_shards(sequences, [1] * 10 + [0] * 5 + [2] * 4, [*range(10), *range(5), *range(4)])
    small = evaluated(model, tokenizer, parallel_train, shards, pivot="en", bag=bag, rate=0.5)
    assert retrieval_of(small).min_messages == 5
    assert list(retrieval_of(small).languages) == ["de"]
    assert retrieval_of(small).left_out == {"fr": 4}
    with pytest.raises(InputError, match=r"--min-messages: expected at most 150, .* en \(English\); got 200"):
        evaluated(model, tokenizer, parallel_train, parallel_test, pivot="en", bag=bag, min_messages=200)


def test_bad_input_is_named(
    model: MultilingualModel,
    parallel_train: TokenShards,
    parallel_test: TokenShards,
    bag: TrainedBag,
    make_shards: Callable[..., TokenShards],
) -> None:
    tokenizer = OneByteATokenizer(model.config.rows)
    with pytest.raises(InputError, match=r"--pivot: expected a language .*de \(German\), .*; got 'xx'"):
        evaluated(model, tokenizer, parallel_train, parallel_test, pivot="xx", bag=bag)
    other = make_shards([[300] * 40] * 2, [0, 1], [0, 0], languages=("de", "en"))
    with pytest.raises(InputError, match="their languages differ"):
        evaluated(model, tokenizer, parallel_train, other, pivot="en", bag=bag)
