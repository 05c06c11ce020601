"""What a model knows before its first step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import Packed, pack
from xformer.pretraining.init_from_counts import init_from_counts, language_features
from xformer.tokenizer.special import FIRST_BYTE_ID

CONFIG = ModelConfig(vocab_size=40, d_model=16, n_heads=2, d_ff=8, n_layers=2)
ROWS = [[6, 7, 8, 9], [10], [], [11, 12, 30], [33, 34]]


def _counts(languages: int = 3, vocabulary: int = 40) -> np.ndarray:
    """Each language has pieces of its own, and all share some."""
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, (languages, vocabulary))
    own = np.arange(vocabulary) % (languages + 1)
    counts += 400 * (own[None, :] == np.arange(languages)[:, None])
    counts[:, :FIRST_BYTE_ID] = 0
    return counts


def _started(config: ModelConfig = CONFIG) -> tuple[MultilingualModel, MultilingualModel]:
    torch.manual_seed(0)
    before = MultilingualModel(config, "mean")
    torch.manual_seed(0)
    after = MultilingualModel(config, "mean")
    init_from_counts(after, _counts())
    return before.double(), after.double()


def test_the_first_prediction_is_the_frequency_of_all_tokens() -> None:
    _, model = _started()
    logits = model.token_logits(pack(ROWS), torch.tensor([0, 5]))
    expected = torch.from_numpy((_counts().sum(axis=0) + 1) / (_counts().sum() + 40))
    torch.testing.assert_close(logits.softmax(dim=1), expected.expand(2, 40), rtol=1e-5, atol=0)


@pytest.mark.parametrize("positions", ["rotary", "none", "sinusoidal"])
def test_no_sentence_vector_moves_when_the_blocks_join(positions: Any) -> None:
    _, model = _started(replace(CONFIG, positions=positions, pool_after_norm=False))
    batch = pack(ROWS)
    bag, full = model.sentence_vectors(batch, n_layers=0), model.sentence_vectors(batch)
    assert bag.shape == (5, 12)
    torch.testing.assert_close(full, bag, rtol=0, atol=1e-12)


def test_after_the_final_norm_they_hardly_move() -> None:
    """The norm weighs the tokens anew; the mean that is added is the same for all tokens of a text."""
    _, model = _started()
    batch = pack(ROWS)
    cosines = (model.sentence_vectors(batch, n_layers=0) * model.sentence_vectors(batch)).sum(dim=1)
    assert cosines[: len(cosines) - 1].min() > 0.97  # the last text is empty


def test_the_first_attention_adds_the_mean() -> None:
    _, model = _started()
    batch = pack(ROWS)
    before, after, last = model.encoder.hidden_states(batch)
    sequence = batch.sequence_ids()
    means = torch.stack([before[sequence == number].mean(dim=0) for number in range(4)])
    torch.testing.assert_close(after, before + means[sequence], rtol=0, atol=1e-12)
    assert torch.equal(last, after)


def _loss(model: MultilingualModel, batch: Packed) -> torch.Tensor:
    logits = model.token_logits(batch, torch.tensor([0, 5]))
    return torch.nn.functional.cross_entropy(logits, torch.tensor([30, 31]))


def test_it_can_be_left_again() -> None:
    """Nothing that starts at zero is multiplied with something else that does."""
    _, model = _started()
    batch = pack(ROWS)
    _loss(model, batch).backward()
    gain = model.get_parameter("masked_lm.head.norm.weight").grad
    assert gain is not None
    assert gain.abs().max() > 0
    # The gain has its gradient first; everything behind it follows.
    with torch.no_grad():
        model.get_parameter("masked_lm.head.norm.weight").sub_(gain)
    _loss(model, batch).backward()
    for name in ("layers.0.attn.Wqkv", "layers.0.attn.Wo", "layers.0.mlp.Wo", "layers.1.attn.Wo"):
        gradient = model.get_parameter(f"encoder.{name}.weight").grad
        assert gradient is not None
        assert gradient.abs().max() > 0, name
    queries, keys = model.get_parameter("encoder.layers.0.attn.Wqkv.weight").grad.chunk(3)[:2]  # type: ignore[union-attr]
    assert keys.abs().max() > 0
    assert queries.abs().max() == 0  # until the keys have moved


def test_the_mean_of_the_last_coordinates_tells_the_language() -> None:
    _, model = _started()
    rng = np.random.default_rng(1)
    counts = _counts()
    language = rng.integers(0, 3, 200)
    texts = [rng.choice(40, size=8, p=counts[number] / counts[number].sum()) for number in language]
    states = model.encoder.embed(pack(texts))
    batch = pack(texts)
    means = torch.stack([states[batch.sequence_ids() == row].mean(dim=0) for row in range(200)])
    private = batch.unsort(means)[:, 12:].detach().numpy()
    prototypes = np.stack([private[:100][language[:100] == number].mean(axis=0) for number in range(3)])
    guess = ((private[100:, None] - prototypes[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (guess == language[100:]).mean() > 0.95


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 10**6))
def test_features_keep_what_languages_differ_in(languages: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 50, (languages, 60)) * (rng.random((languages, 60)) < 0.5)
    counts[:, :FIRST_BYTE_ID] = 0
    counts[:, -1] = 1
    features = language_features(counts, width)
    assert features.shape == (60, min(width, languages))
    assert (features[:FIRST_BYTE_ID] == 0).all()
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[FIRST_BYTE_ID:].mean(axis=0), 0, atol=1e-9)
    if width >= languages > 1 and features.any():
        # A rotation: tokens are as far apart as their log ratios are, up to one factor.
        share = (counts.sum(axis=0) + 1.0) / (counts.sum() + 60)
        smooth = (counts + 1000 * share) / (counts.sum(axis=1, keepdims=True) + 1000)
        ratios = np.clip(np.log(smooth / share), -4, 4).T[FIRST_BYTE_ID:]
        far = np.linalg.norm(ratios[:-1] - ratios[1:], axis=1)
        found = np.linalg.norm(np.diff(features[FIRST_BYTE_ID:], axis=0), axis=1)
        factor = found.sum() / far.sum()
        np.testing.assert_allclose(found, factor * far, atol=1e-9)


def test_parts_that_a_model_lacks_are_left_alone() -> None:
    config = replace(CONFIG, pooled_dim_fraction=1.0, decoder_bias=False, zero_init_residual=False)
    before, after = _started(config)
    for name, parameter in before.named_parameters():
        assert torch.equal(parameter, after.get_parameter(name)), name
    init_from_counts(MultilingualModel(replace(CONFIG, n_layers=0), "mean"), _counts())
