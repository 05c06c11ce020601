"""Subword regularisation: the right distribution, from the seed alone."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.tokenizer import Tokenizer


@settings(max_examples=60)
@given(
    text=st.text(max_size=30) | st.text(alphabet="the cat\u2581 роза\n", max_size=30),
    alpha=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_whatever_is_drawn_decodes_to_the_text(
    unigram: Tokenizer, bpe: Tokenizer, text: str, alpha: float, seed: int
) -> None:
    for tokenizer in (unigram, bpe):
        ids = tokenizer.sample(text, alpha=alpha, seed=seed)
        assert ids.dtype == np.int32
        assert tokenizer.decode(ids) == text
        assert np.array_equal(ids, tokenizer.sample(text, alpha=alpha, seed=seed))


def test_odd_texts_survive(tokenizer: Tokenizer, odd_text: str) -> None:
    for seed in range(3):
        assert tokenizer.decode(tokenizer.sample(odd_text, alpha=0.3, seed=seed)) == odd_text


def test_seeds_differ(tokenizer: Tokenizer) -> None:
    text = "The children are reading a book about the stars."
    assert len({tuple(tokenizer.sample(text, alpha=0.2, seed=seed).tolist()) for seed in range(20)}) > 5


def test_bpe_without_dropout_is_bpe(bpe: Tokenizer, sentences: list[tuple[str, str]], odd_text: str) -> None:
    for text in [*(text for _, text in sentences), odd_text]:
        assert bpe.sample(text, alpha=0.0, seed=1).tolist() == bpe.encode(text).tolist()


def test_bpe_with_full_dropout_is_characters(bpe: Tokenizer) -> None:
    pieces = [bpe.piece(i) for i in bpe.sample("The cat", alpha=1.0, seed=1)]
    assert pieces == ["▁", *"The", "▁", *"cat"]


def test_unigram_at_a_large_alpha_is_the_best_segmentation(
    unigram: Tokenizer, sentences: list[tuple[str, str]]
) -> None:
    for _, text in sentences:
        drawn = unigram.sample(text, alpha=1e6, seed=1)
        best = unigram.encode(text)
        # Two segmentations can be equally good.
        scores = unigram.piece_scores()
        assert scores[drawn].sum() == pytest.approx(scores[best].sum(), abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_unigram_draws_from_the_distribution_it_promises(unigram: Tokenizer, alpha: float) -> None:
    """Against every segmentation of a short text, counted out."""
    text = "the ca"
    spaced = "▁" + text.replace(" ", "▁")
    known = {unigram.piece(i): i for i in range(261, unigram.vocab_size)}
    weights: dict[tuple[int, ...], float] = {}
    for size in range(1, len(spaced) + 1):
        for cuts in itertools.combinations(range(1, len(spaced)), size - 1):
            bounds = [0, *cuts, len(spaced)]
            parts = [spaced[a:b] for a, b in itertools.pairwise(bounds)]
            if all(part in known for part in parts):
                ids = tuple(known[part] for part in parts)
                weights[ids] = math.exp(alpha * float(unigram.piece_scores()[list(ids)].sum()))
    assert len(weights) > 3
    total = sum(weights.values())
    draws = 4000
    seen = Counter(tuple(unigram.sample(text, alpha=alpha, seed=seed).tolist()) for seed in range(draws))
    assert set(seen) <= set(weights)
    for ids, weight in weights.items():
        share = weight / total
        # Five standard deviations, and the seeds are fixed.
        assert abs(seen[ids] / draws - share) <= 5 * math.sqrt(share * (1 - share) / draws) + 1e-9
