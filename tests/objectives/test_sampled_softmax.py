"""Sampled softmax: which tokens are drawn, and that what is learned is the distribution over all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.counter_rng import random_bits
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.objectives import MaskedBatch, VocabularySampler, masked_lm_batch, masked_lm_loss
from xformer.runs.config import MaskingConfig

COUNTS = np.arange(60)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 59), min_size=0, max_size=30), st.integers(1, 200), st.integers(0, 10**6))
def test_a_sample_holds_each_target_once(targets: list[int], draws: int, seed: int) -> None:
    wanted = np.bincount(np.array(targets, dtype=np.int64), minlength=60)
    sampler = VocabularySampler(COUNTS, draws)
    found = sampler.draw(wanted, np.random.default_rng(seed))
    ids = found.ids.numpy()
    assert (np.diff(ids) > 0).all()
    assert set(targets) <= set(ids.tolist())
    assert len(ids) <= draws + len(set(targets))
    assert set(ids.tolist()) - set(targets) <= set(range(1, 60))  # a token that never occurs is never drawn
    assert (found.log_inclusion <= 0).all()
    assert found.log_inclusion.isfinite().all()
    again = sampler.draw(wanted, np.random.default_rng(seed))
    assert torch.equal(again.ids, found.ids)


def test_sample_targets_are_indices_into_the_sample() -> None:
    batch = _batch()
    some = _sampled(batch, VocabularySampler(COUNTS, 20))
    assert some.sample is not None
    assert some.sample_targets is not None
    assert torch.equal(some.sample.ids[some.sample_targets], batch.targets)


def test_the_inclusion_probability_is_how_often_a_token_is_in_the_sample() -> None:
    rng = np.random.default_rng(0)
    sampler, there, said = VocabularySampler(COUNTS, 40), np.zeros(60), np.zeros(60)
    trials = 3_000
    for _ in range(trials):
        found = sampler.draw(rng.multinomial(10, COUNTS / COUNTS.sum()), rng)
        there[found.ids.numpy()] += 1
        said[found.ids.numpy()] = found.log_inclusion.exp().numpy()
    share = there[1:] / trials
    assert (np.abs(share - said[1:]) < 0.02 + 4 * np.sqrt(share * (1 - share) / trials)).all()


def test_with_the_whole_vocabulary_it_is_the_softmax() -> None:
    model, batch = _model(), _batch()
    every = _sampled(batch, VocabularySampler(COUNTS + 1, 100_000))
    assert every.sample is not None
    assert len(every.sample.ids) == 60
    for exact, sampled in zip(*(_value_and_gradients(model, one) for one in (batch, every)), strict=True):
        torch.testing.assert_close(sampled, exact, rtol=1e-5, atol=1e-6)


def test_what_is_learned_from_samples_is_the_distribution() -> None:
    """Logits that descend the sampled loss come to the log frequencies, which the whole softmax has."""
    rng = np.random.default_rng(0)
    frequency = (COUNTS + 3) / (COUNTS + 3).sum()
    sampler = VocabularySampler((1000 * frequency).astype(np.int64), 8)
    logits = torch.zeros(60, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.03)
    steps = 3_000
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (steps + 1))
    for _ in range(steps):
        targets = torch.from_numpy(rng.choice(60, size=16, p=frequency))
        found = sampler.draw(targets.bincount(minlength=60).numpy(), rng)
        optimizer.zero_grad()
        scores = logits[found.ids] - found.log_inclusion
        indices = torch.searchsorted(found.ids, targets)
        torch.nn.functional.cross_entropy(scores.expand(16, -1), indices).backward()
        optimizer.step()
        schedule.step()
    learned = logits.detach().softmax(0).numpy()
    assert float((frequency * np.log(frequency / learned)).sum()) < 0.01
    # Without the correction, frequent tokens would be learned as rarer than they are.
    assert learned[50:].sum() == pytest.approx(frequency[50:].sum(), rel=0.05)


def test_tokens_outside_the_sample_get_no_gradient() -> None:
    model, batch = _model(), _batch()
    few = _sampled(batch, VocabularySampler(COUNTS, 3))
    assert few.sample is not None
    masked_lm_loss(model, model.encoder.embed(few.inputs), few).value.backward()
    gradient = model.get_parameter("masked_lm.bias").grad
    assert gradient is not None
    assert set(gradient.nonzero().flatten().tolist()) == set(few.sample.ids.tolist())


def test_nothing_to_draw_from_is_refused() -> None:
    for counts, draws in ((np.zeros(9, dtype=np.int64), 4), (COUNTS, 0)):
        with pytest.raises(ValueError, match="expected counts and draws from 1"):
            VocabularySampler(counts, draws)


def _model() -> MultilingualModel:
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=60, d_model=8, n_heads=2, d_ff=8, zero_init_residual=False, init_std=0.3)
    return MultilingualModel(config, "mean")


def _batch() -> MaskedBatch:
    rng = np.random.default_rng(0)
    lengths, languages = np.array([9, 4, 12]), np.zeros(3, dtype=np.int64)
    tokens = rng.integers(5, 60, size=lengths.sum())
    masking, starts_word = MaskingConfig(rate=0.4), np.ones(60, dtype=bool)
    return masked_lm_batch(tokens, lengths, languages, random_bits(np.arange(3)), masking, starts_word)


def _sampled(batch: MaskedBatch, sampler: VocabularySampler) -> MaskedBatch:
    targets = batch.targets.bincount(minlength=60).numpy()
    return batch.with_sample(sampler.draw(targets, np.random.default_rng(0)))


def _value_and_gradients(model: MultilingualModel, batch: MaskedBatch) -> list[torch.Tensor]:
    model.zero_grad()
    loss = masked_lm_loss(model, model.encoder(batch.inputs, final_norm=False), batch)
    loss.value.backward()
    return [loss.value.detach(), loss.items, *(p.grad for p in model.parameters() if p.grad is not None)]
