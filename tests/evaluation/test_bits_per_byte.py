"""Bits per byte against a plain double loop; what is hidden depends on the text and the seed only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from xformer.data.shards import TokenShards
from xformer.evaluation.bits_per_byte import BitsPerByte, HiddenTokens, bits_per_byte, model_surprisal
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.objectives import MaskedBatch
from xformer.tokenizer.special import BOS_ID, MASK_ID


def untied_to_chance(config: ModelConfig) -> MultilingualModel:
    """A model whose probabilities differ from token to token and place to place."""
    torch.manual_seed(3)
    model = MultilingualModel(replace(config, zero_init_residual=False, init_std=0.3))
    assert model.masked_lm.bias is not None
    torch.nn.init.normal_(model.masked_lm.bias)
    return model


def hidden_places(question: HiddenTokens) -> set[tuple[int, int, int, int]]:
    """(group, language, position, token) of all that is hidden; groups and languages name a text here."""
    found = set()
    shards = question.shards
    texts = {
        (tuple(shards[i].tolist()), int(shards.language[i])): int(shards.group[i]) for i in range(len(shards))
    }
    assert len(texts) == len(shards)
    for batch in question.batches():
        whole = batch.inputs.tokens.clone()
        whole[batch.selected] = batch.targets
        rows = batch.inputs.sequence_ids()[batch.selected]
        pieces = whole.split(list(batch.inputs.lengths))
        for place, row, language in zip(batch.selected, rows, batch.language.tolist(), strict=True):
            group = texts[tuple(pieces[int(row)].tolist()), language]
            found.add((group, language, int(batch.inputs.positions[place]), int(whole[place])))
    return found


def test_it_is_what_a_double_loop_gives(parallel_test: TokenShards, tiny_model: ModelConfig) -> None:
    model = untied_to_chance(tiny_model)
    byte_lengths = np.arange(tiny_model.rows) % 7 + 1
    question = HiddenTokens(parallel_test, rate=0.3, seed=5, batch_tokens=500)
    result = bits_per_byte(model_surprisal(model), question, byte_lengths)

    bits, n_bytes, n_tokens = np.zeros(4), np.zeros(4), np.zeros(4)
    places = hidden_places(question)
    for example in range(len(parallel_test)):
        group, language = int(parallel_test.group[example]), int(parallel_test.language[example])
        tokens = parallel_test[example]
        hidden = [n for n, token in enumerate(tokens.tolist()) if (group, language, n, token) in places]
        shown = tokens.copy()
        shown[hidden] = MASK_ID
        with torch.no_grad():
            logits = model.token_logits(pack([shown]), torch.arange(len(shown))).double()
        for n in hidden:
            bits[language] -= float(logits[n].log_softmax(-1)[tokens[n]]) / math.log(2)
            n_bytes[language] += byte_lengths[tokens[n]]
            n_tokens[language] += 1
    np.testing.assert_allclose(result.bits, bits, rtol=1e-5)
    np.testing.assert_array_equal(result.n_bytes, n_bytes)
    np.testing.assert_array_equal(result.n_tokens, n_tokens)
    np.testing.assert_allclose(result.by_language, bits / n_bytes, rtol=1e-5)
    assert result.overall == pytest.approx(bits.sum() / n_bytes.sum(), rel=1e-5)
    assert result.mean(np.array([0, 2])) == pytest.approx((bits / n_bytes)[[0, 2]].mean(), rel=1e-5)


def test_an_undecided_model_needs_the_bits_of_the_vocabulary(
    parallel_test: TokenShards, tiny_model: ModelConfig
) -> None:
    model = MultilingualModel(replace(tiny_model, init_std=0.0))
    byte_lengths = np.full(tiny_model.rows, 2)
    result = bits_per_byte(model_surprisal(model), HiddenTokens(parallel_test), byte_lengths)
    np.testing.assert_allclose(result.by_language, math.log2(tiny_model.rows) / 2, rtol=1e-6)


def test_what_is_hidden_does_not_depend_on_batches_or_order(
    parallel_test: TokenShards, make_shards: Callable[..., TokenShards]
) -> None:
    order = np.random.default_rng(1).permutation(len(parallel_test))
    shuffled = make_shards(
        [parallel_test[int(i)].tolist() for i in order],
        parallel_test.language[order],
        parallel_test.group[order],
    )
    wanted = hidden_places(HiddenTokens(parallel_test, seed=7))
    assert hidden_places(HiddenTokens(parallel_test, seed=7, batch_tokens=20)) == wanted
    assert hidden_places(HiddenTokens(shuffled, seed=7, batch_tokens=333)) == wanted
    assert hidden_places(HiddenTokens(parallel_test, seed=8)) != wanted


def test_the_asked_share_is_hidden(parallel_train: TokenShards) -> None:
    batches = list(HiddenTokens(parallel_train, rate=0.25).batches())
    n_tokens = sum(batch.inputs.n_tokens for batch in batches)
    hidden = sum(len(batch.selected) for batch in batches)
    assert n_tokens == parallel_train.n_tokens.sum()
    assert hidden / n_tokens == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / n_tokens))
    for batch in batches:
        assert (batch.inputs.tokens[batch.selected] == MASK_ID).all()
        assert (batch.inputs.tokens == MASK_ID).sum() == len(batch.selected)


def test_special_tokens_are_never_asked_for(make_shards: Callable[..., TokenShards]) -> None:
    shards = make_shards([[BOS_ID, 300, BOS_ID]] * 200, [0] * 200, range(200))
    targets = torch.cat([batch.targets for batch in HiddenTokens(shards, rate=0.5).batches()])
    assert set(targets.tolist()) == {300}


def test_without_the_logits_it_is_what_they_say(parallel_test: TokenShards, tiny_model: ModelConfig) -> None:
    model = untied_to_chance(tiny_model).eval()
    formed: list[int] = []
    (batch,) = HiddenTokens(parallel_test).batches()
    with torch.no_grad():
        logits = model.masked_lm(model.encoder(batch.inputs), batch.selected, model.encoder.token_embedding)
    nats = F.cross_entropy(logits.double(), batch.targets, reduction="none")
    model.masked_lm.register_forward_hook(lambda module, given, logits: formed.append(len(logits)))
    found = model_surprisal(model)(batch)
    np.testing.assert_allclose(found, nats.numpy() / math.log(2), rtol=1e-5)
    assert len(found) > 30
    assert not formed


def test_a_batch_with_nothing_hidden(
    make_shards: Callable[..., TokenShards], tiny_model: ModelConfig
) -> None:
    shards = make_shards([[300], [301]], [0, 1], [0, 1])
    question = HiddenTokens(shards, rate=1e-9)
    result = bits_per_byte(
        model_surprisal(MultilingualModel(tiny_model)), question, np.ones(tiny_model.rows, dtype=int)
    )
    assert result.n_tokens.sum() == 0
    assert np.isnan(result.by_language).all()
    assert math.isnan(result.overall)
    assert math.isnan(result.mean(np.array([0])))


def test_means_pass_over_languages_without_hidden_tokens() -> None:
    result = BitsPerByte(np.array([4.0, 0.0, 6.0]), np.array([2, 0, 2]), np.array([1, 0, 1]))
    assert result.mean(np.arange(3)) == 2.5


def test_bad_input_is_named(parallel_test: TokenShards) -> None:
    def broken(batch: MaskedBatch) -> NDArray[np.float64]:
        return np.full(len(batch.selected), np.nan)

    with pytest.raises(ValueError, match="not numbers"):
        bits_per_byte(broken, HiddenTokens(parallel_test), np.ones(1000, dtype=int))
    with pytest.raises(ValueError, match="rate"):
        HiddenTokens(parallel_test, rate=0.0)
