"""The unigram model: a distribution, counted right, smoothed by what it did not see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from xformer.data.shards import TokenShards
from xformer.evaluation.bits_per_byte import HiddenTokens, bits_per_byte
from xformer.evaluation.unigram import Unigram
from xformer.model.packed import pack
from xformer.objectives import MaskedBatch
from xformer.tokenizer.special import FIRST_BYTE_ID


def ask(unigram: Unigram, tokens: list[int], languages: list[int]) -> NDArray[np.float64]:
    targets = torch.tensor(tokens)
    return unigram.surprisal(
        MaskedBatch(pack([tokens]), torch.arange(len(tokens)), targets, np.array(languages))
    )


def test_probabilities_sum_to_one_in_every_language(parallel_train: TokenShards) -> None:
    unigram = Unigram.fit(parallel_train)
    text = list(range(FIRST_BYTE_ID, parallel_train.info.vocab_size))
    for language in range(4):
        assert np.exp2(-ask(unigram, text, [language] * len(text))).sum() == pytest.approx(1.0)


def test_it_counts_what_is_there(
    make_shards: Callable[..., TokenShards], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.integers(FIRST_BYTE_ID, 40, n).tolist() for n in rng.integers(1, 9, 50)]
    language = rng.integers(0, 4, 50).tolist()
    shards = make_shards(sequences, language, range(50), vocab_size=40)
    counts = Counter(
        (number, token) for sequence, number in zip(sequences, language, strict=True) for token in sequence
    )
    whole = Unigram.fit(shards)
    assert {(int(a), int(b)): int(whole.counts[a, b]) for a, b in np.argwhere(whole.counts)} == counts
    monkeypatch.setattr("xformer.data.counts._TOKENS_AT_ONCE", 7)
    in_parts = Unigram.fit(shards)
    np.testing.assert_array_equal(in_parts.counts, whole.counts)
    np.testing.assert_array_equal(in_parts.pseudo_tokens, whole.pseudo_tokens)


def test_the_formula(make_shards: Callable[..., TokenShards]) -> None:
    shards = make_shards([[6, 6, 7], [8]], [0, 1], [1, 1], vocab_size=10)
    unigram = replace(Unigram.fit(shards), pseudo_tokens=np.array([2.0, 2.0, 2.0, 2.0]))
    # Five tokens can be text, and four were counted: p(6) = 3/9, p(8) = 2/9, p(9) = 1/9.
    wanted = [(2 + 2 * 3 / 9) / 5, (0 + 2 * 2 / 9) / 5, (1 + 2 * 2 / 9) / 3, (0 + 2 * 1 / 9) / 3, 1 / 9]
    np.testing.assert_allclose(np.exp2(-ask(unigram, [6, 8, 8, 9, 9], [0, 0, 1, 1, 2])), wanted)


def test_tuned_smoothing_is_near_the_best_of_the_grid(
    parallel_train: TokenShards, parallel_test: TokenShards
) -> None:
    unigram = Unigram.fit(parallel_train)
    byte_lengths = np.ones(parallel_train.info.vocab_size, dtype=np.int64)
    question = HiddenTokens(parallel_test, rate=0.5)

    def cost(model: Unigram) -> float:
        return bits_per_byte(model.surprisal, question, byte_lengths).overall

    fixed = [cost(replace(unigram, pseudo_tokens=np.full(4, 2.0**power))) for power in range(0, 21, 4)]
    assert cost(unigram) < min(fixed) + 0.01
    assert cost(unigram) < max(fixed) - 0.5


def test_a_language_without_text_falls_back_on_all(make_shards: Callable[..., TokenShards]) -> None:
    shards = make_shards([[6, 6, 7]] * 40, [0, 1] * 20, range(40), vocab_size=10)
    bits = ask(Unigram.fit(shards), [6, 7, 9], [3, 3, 3])
    np.testing.assert_allclose(np.exp2(-bits), np.array([81, 41, 1]) / 125)


def test_texts_of_one_group_are_set_apart_together(make_shards: Callable[..., TokenShards]) -> None:
    """Smoothing is tuned on groups that were not counted, or translations would give the answer away."""
    # Group 10 is the tenth that is set apart; its words occur nowhere else, so smoothing has to be strong.
    shards = make_shards([[6] * 9, [7] * 9, [8] * 9, [9] * 9], [0, 1, 0, 1], [1, 1, 10, 10], vocab_size=10)
    assert (Unigram.fit(shards).pseudo_tokens[:2] == 2.0**20).all()


def test_blind_to_the_language_it_is_the_shared_distribution(parallel_train: TokenShards) -> None:
    unigram = Unigram.fit(parallel_train).blind()
    text = list(range(FIRST_BYTE_ID, parallel_train.info.vocab_size))
    for language in range(len(parallel_train.languages)):
        given = np.exp2(-ask(unigram, text, [language] * len(text)))
        np.testing.assert_allclose(given, unigram.shared[FIRST_BYTE_ID:])
