"""Masked and translation language modelling: the hidden tokens of a batch, and their loss.

Covers `masked_lm`, `translation_lm` and `loss` of `xformer.objectives`.

Shapes: T tokens, S selected tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

from xformer.data.counter_rng import random_bits
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.objectives import (
    MaskedBatch,
    VocabularySampler,
    masked_lm_batch,
    masked_lm_loss,
    translation_lm_batch,
)
from xformer.runs.config import Masking, MaskingConfig
from xformer.tokenizer.special import EOS_ID, FIRST_BYTE_ID
from xformer.training.losses import Loss

VOCABULARY = 40
starts_word = np.arange(VOCABULARY) % 3 == 0
TEXTS = st.lists(
    st.lists(st.integers(FIRST_BYTE_ID, VOCABULARY - 1), min_size=1, max_size=9), min_size=1, max_size=6
)
UNITS: list[Masking] = ["token", "word", "span"]
SMALL = ModelConfig(
    vocab_size=VOCABULARY, d_model=8, n_heads=2, n_layers=2, d_ff=8, window=4, zero_init_residual=False
)


def _masked(
    texts: list[list[int]], languages: NDArray[np.int64], config: MaskingConfig, seed: int = 0
) -> MaskedBatch:
    tokens, lengths = (
        np.array([token for ids in texts for token in ids]),
        np.array([len(ids) for ids in texts]),
    )
    return masked_lm_batch(
        tokens, lengths, languages, random_bits(seed, np.arange(len(texts))), config, starts_word
    )


def _joined(
    left: list[list[int]],
    right: list[list[int]],
    languages: NDArray[np.int64],
    config: MaskingConfig,
    seed: int = 0,
) -> MaskedBatch:
    """Languages of left texts and their translations (P, 2)."""
    pairs = list(zip(left, right, strict=True))
    tokens = np.array([token for pair in pairs for ids in pair for token in ids], dtype=np.int32)
    lengths = np.array([[len(ids) for ids in pair] for pair in pairs])
    keys = random_bits(seed, np.arange(len(pairs)))
    return translation_lm_batch(tokens, lengths, languages, keys, config, starts_word)


def _restored(batch: MaskedBatch) -> list[list[int]]:
    """The sequences before anything was hidden, in the order before packing."""
    tokens = batch.inputs.tokens.clone()
    tokens[batch.selected] = batch.targets
    parts = tokens.split(list(batch.inputs.lengths))
    found: list[list[int]] = [[]] * len(parts)
    for part, place in zip(parts, batch.inputs.order.tolist(), strict=True):
        found[place] = part.tolist()
    return found


def _places(batch: MaskedBatch) -> list[tuple[int, int]]:
    """(text before packing, token in it) of each selected token."""
    order, sequence = batch.inputs.order, batch.inputs.sequence_ids()
    starts = batch.inputs.cu_seqlens.long()
    rows = sequence[batch.selected]
    return list(zip(order[rows].tolist(), (batch.selected - starts[rows]).tolist(), strict=True))


@given(TEXTS, st.sampled_from(UNITS), st.integers(0, 99))
def test_targets_are_what_was_there_in_the_text_s_own_language(
    texts: list[list[int]], unit: Masking, seed: int
) -> None:
    languages = np.arange(len(texts)) * 10
    config = MaskingConfig(unit=unit)
    batch = _masked(texts, languages, config, seed)
    assert _restored(batch) == texts
    assert batch.language.tolist() == [10 * text for text, _ in _places(batch)]
    again = _masked(texts, languages, config, seed)
    assert torch.equal(again.inputs.tokens, batch.inputs.tokens)


@given(st.data())
def test_pairs_are_joined_with_positions_from_zero_in_both(data: st.DataObject) -> None:
    left = data.draw(TEXTS)
    right = data.draw(
        st.lists(st.sampled_from([[6], [7, 8], [9] * 12]), min_size=len(left), max_size=len(left))
    )
    unit = data.draw(st.sampled_from(UNITS))
    languages = np.arange(len(left))[:, None] + np.array([0, 100])
    batch = _joined(left, right, languages, MaskingConfig(unit=unit), data.draw(st.integers(0, 99)))
    assert _restored(batch) == [[*a, EOS_ID, *b] for a, b in zip(left, right, strict=True)]
    positions = batch.inputs.positions.split(list(batch.inputs.lengths))
    for part, place in zip(positions, batch.inputs.order.tolist(), strict=True):
        assert part.tolist() == [*range(len(left[place]) + 1), *range(len(right[place]))]
    for (pair, token), language in zip(_places(batch), batch.language.tolist(), strict=True):
        assert token != len(left[pair])  # the separator is never hidden
        assert language == (pair if token < len(left[pair]) else pair + 100)


def test_both_texts_of_a_pair_have_gaps_and_no_gap_reaches_over_the_end() -> None:
    texts = [[10, 11, 13, 14]] * 2_000  # no token begins a word, so each text is one
    languages = np.zeros((2_000, 2), dtype=np.int64) + np.array([0, 1])
    batch = _joined(texts, texts, languages, MaskingConfig(rate=0.5, unit="word"))
    sides = np.bincount(batch.language)
    assert abs(int(sides[0] - sides[1])) / sides.sum() < 0.1
    hidden: dict[tuple[int, bool], int] = {}
    for pair, token in _places(batch):
        key = (pair, token < 4)
        hidden[key] = hidden.get(key, 0) + 1
    assert set(hidden.values()) == {4}
    # Half of a pair's two words: one text is shown whole beside the other's gap.
    assert len(hidden) == 2_000
    assert len({pair for pair, _ in hidden}) == 2_000


@pytest.mark.parametrize("n_layers", [None, 0, 1])
@given(texts=TEXTS, seed=st.integers(0, 99))
@settings(max_examples=10)
def test_the_loss_is_that_of_all_positions_with_the_rest_ignored(
    n_layers: int | None, texts: list[list[int]], seed: int
) -> None:
    torch.manual_seed(seed)
    model = MultilingualModel(SMALL).double()
    languages = np.arange(len(texts))
    batch = _masked(texts, languages, MaskingConfig(rate=0.4), seed)
    stream = model.encoder(batch.inputs, n_layers=n_layers, final_norm=False)
    loss = masked_lm_loss(model, stream, batch)
    everywhere = torch.arange(batch.inputs.n_tokens)
    logits = model.token_logits(batch.inputs, everywhere, n_layers=n_layers)
    labels = torch.full((batch.inputs.n_tokens,), -100)
    labels[batch.selected] = batch.targets
    hidden = max(1, len(batch.targets))  # a text of one token may have none
    dense = F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum") / hidden

    torch.testing.assert_close(loss.value, dense, rtol=1e-12, atol=0)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(loss.value, parameters, allow_unused=True)
    theirs = torch.autograd.grad(dense, parameters, allow_unused=True)
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    assert not loss.items.requires_grad
    assert loss.items.shape == batch.targets.shape
    torch.testing.assert_close(loss.items.sum() / hidden, dense.detach(), rtol=1e-12, atol=0)


def _loss(model: MultilingualModel, batch: MaskedBatch) -> Loss:
    return masked_lm_loss(model, model.encoder(batch.inputs, final_norm=False), batch)


def test_under_autocast_the_cross_entropy_is_in_fp32() -> None:
    model = MultilingualModel(SMALL)
    batch = _masked([[10, 11, 12, 13]] * 8, np.zeros(8, dtype=np.int64), MaskingConfig())
    with torch.autocast("cpu", torch.bfloat16):
        loss = _loss(model, batch)
    assert loss.items.dtype == loss.value.dtype == torch.float32
    exact = _loss(model, batch)
    torch.testing.assert_close(loss.value, exact.value, rtol=0.02, atol=0)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_where_nothing_is_hidden_the_loss_is_zero_and_so_is_every_gradient(precision: torch.dtype) -> None:
    model = MultilingualModel(SMALL)
    batch = _masked([[10, 11]], np.zeros(1, dtype=np.int64), MaskingConfig(rate=0.01))
    assert len(batch.targets) == 0
    sampler = VocabularySampler(np.arange(VOCABULARY), 5)
    none = np.zeros(VOCABULARY, dtype=np.int64)
    few = batch.with_sample(sampler.draw(none, np.random.default_rng(0)))
    for share in (batch, replace(batch, n_hidden=0), replace(batch, n_hidden=7), replace(few, n_hidden=7)):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            loss = _loss(model, share)
        assert loss.value.item() == 0.0
        assert loss.items.shape == (0,)
        loss.value.backward()  # all processes go through the same parameters
        for name in ("masked_lm.head.dense.weight", "encoder.embeddings.tok_embeddings.weight"):
            gradient = model.get_parameter(name).grad
            assert gradient is not None, name
            assert gradient.abs().max() == 0.0


def test_shares_of_a_loss_add_up_to_it() -> None:
    model = MultilingualModel(SMALL).double()
    texts, languages = [[10, 11, 12, 13], [14, 15], [16, 17, 18]], np.arange(3)
    whole = _masked(texts, languages, MaskingConfig(rate=0.5))
    stream = model.encoder(whole.inputs, final_norm=False)
    hidden = len(whole.targets)
    parts = [
        replace(whole, selected=whole.selected[mine], targets=whole.targets[mine], n_hidden=hidden)
        for mine in (slice(0, 1), slice(1, None))
    ]
    values = [masked_lm_loss(model, stream, part).value for part in parts]
    torch.testing.assert_close(sum(values), masked_lm_loss(model, stream, whole).value, rtol=1e-12, atol=0)
