"""Which tokens are hidden, and behind what.

Shapes: T tokens, S selected tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xformer.objectives.masking import choose, hide
from xformer.packed import pack
from xformer.run_config import Masking, MaskingConfig
from xformer.tokenizer.special import FIRST_BYTE_ID, MASK_ID

VOCABULARY = 40
# Every third id begins a word.
starts_word = np.arange(VOCABULARY) % 3 == 0
UNITS: list[Masking] = ["token", "word", "span"]
SEQUENCES = st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=20), min_size=1, max_size=8)
CONFIGS = st.builds(
    MaskingConfig,
    rate=st.floats(0.05, 0.95),
    unit=st.sampled_from(UNITS),
    span_mean=st.floats(1, 6),
    span_max=st.integers(1, 8),
)
Ids = NDArray[np.int64]


def _packed(sequences: list[list[int]]) -> tuple[Ids, Ids]:
    batch = pack(sequences)
    return batch.tokens.numpy(), batch.positions.numpy()


def _choose(tokens: Ids, positions: Ids, config: MaskingConfig, seed: int = 0) -> Ids:
    return choose(tokens, positions, config, starts_word, np.random.default_rng(seed))


def _words(tokens: Ids, positions: Ids) -> list[list[int]]:
    """Whole words, one token at a time; special tokens are in none."""
    words: list[list[int]] = []
    open_word = False
    for i, (token, position) in enumerate(zip(tokens.tolist(), positions.tolist(), strict=True)):
        if token < FIRST_BYTE_ID:
            open_word = False
        elif position == 0 or not open_word or starts_word[token]:
            words.append([i])
            open_word = True
        else:
            words[-1].append(i)
    return words


@given(SEQUENCES, CONFIGS, st.integers(0, 2**32))
def test_only_text_is_chosen_once_in_order_and_enough_of_it(
    sequences: list[list[int]], config: MaskingConfig, seed: int
) -> None:
    tokens, positions = _packed(sequences)
    selected = _choose(tokens, positions, config, seed)
    text = int((tokens >= FIRST_BYTE_ID).sum())
    assert (np.diff(selected) > 0).all()
    assert (tokens[selected] >= FIRST_BYTE_ID).all()
    if not text:
        assert len(selected) == 0
        return
    wanted = max(1, round(config.rate * text))
    longest = {"token": 1, "word": max(map(len, _words(tokens, positions))), "span": config.span_max}
    assert wanted <= len(selected) < wanted + longest[config.unit]
    assert selected.tolist() == _choose(tokens, positions, config, seed).tolist()


@given(SEQUENCES, st.floats(0.05, 0.95), st.integers(0, 2**32))
def test_words_are_chosen_whole(sequences: list[list[int]], rate: float, seed: int) -> None:
    tokens, positions = _packed(sequences)
    chosen = set(_choose(tokens, positions, MaskingConfig(rate=rate, unit="word"), seed).tolist())
    for word in _words(tokens, positions):
        assert chosen.isdisjoint(word) or chosen.issuperset(word)


def _runs(selected: Ids, positions: Ids) -> list[int]:
    """Lengths of what is hidden in one stretch; a stretch ends with its sequence."""
    lengths = [1] if len(selected) else []
    for a, b in pairwise(selected.tolist()):
        if b == a + 1 and positions[b] != 0:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return lengths


def test_spans_have_geometric_length_up_to_the_longest() -> None:
    # So few that they rarely touch: the stretches seen are then the spans themselves.
    config = MaskingConfig(rate=0.005, unit="span", span_mean=3.0, span_max=6)
    tokens, positions = _packed([[10] * 400_000])
    runs = np.bincount(_runs(_choose(tokens, positions, config), positions), minlength=7)
    p = 1 / 3
    expected = np.array([p * (1 - p) ** (n - 1) for n in range(1, 6)] + [(1 - p) ** 5])
    share = runs[1:7] / runs.sum()
    assert np.abs(share - expected).max() < 0.05
    assert runs[7:].sum() / runs.sum() < 0.03


def test_a_span_ends_with_its_sequence_and_at_a_special_token() -> None:
    config = MaskingConfig(rate=0.001, unit="span", span_mean=50.0, span_max=100)
    separated = [10, 11, 12, 2, 13, 14, 15]  # two texts with </s> between them
    tokens, positions = _packed([separated] * 50 + [[20, 21]] * 50)
    seen = set()
    for seed in range(60):
        selected = _choose(tokens, positions, config, seed)  # one span
        assert (np.diff(selected) == 1).all()
        assert (np.diff(positions[selected]) == 1).all()
        seen.add(tuple(tokens[selected].tolist()))
    assert {(10, 11, 12), (13, 14, 15), (20, 21)} <= seen  # most spans would be longer


@pytest.mark.parametrize("unit", UNITS)
def test_every_token_is_as_likely_as_any_other(unit: Masking) -> None:
    tokens, positions = _packed([[9, 10, 11, 12], [12, 13, 15, 16], [18, 19]] * 20)
    config = MaskingConfig(rate=0.3, unit=unit, span_max=3)
    counts = np.zeros(len(tokens))
    draws = 3000
    rng = np.random.default_rng(0)
    for _ in range(draws):
        counts[choose(tokens, positions, config, starts_word, rng)] += 1
    # The last unit is taken whole, which reaches a little over the rate.
    assert np.abs(counts / draws - 0.3).max() < 4.5 * (0.3 * 0.7 / draws) ** 0.5 + 0.005


def test_a_little_text_has_at_least_one_hidden_token() -> None:
    tokens, positions = _packed([[7]])
    assert _choose(tokens, positions, MaskingConfig(rate=0.01)).tolist() == [0]


@given(SEQUENCES, CONFIGS, st.integers(0, 2**32))
@settings(max_examples=50)
def test_hiding_changes_the_chosen_tokens_only(
    sequences: list[list[int]], config: MaskingConfig, seed: int
) -> None:
    tokens, positions = _packed(sequences)
    before = tokens.copy()
    selected = _choose(tokens, positions, config, seed)
    rest = np.setdiff1d(np.arange(len(tokens)), selected)
    for replacement in ("80-10-10", "mask"):
        rule = replace(config, replacement=replacement)
        shown = hide(tokens, selected, rule, VOCABULARY, np.random.default_rng(seed))
        assert (tokens == before).all()
        assert (shown[rest] == tokens[rest]).all()
        if replacement == "mask":
            assert (shown[selected] == MASK_ID).all()
        else:
            assert all(id == MASK_ID or id >= FIRST_BYTE_ID for id in shown[selected].tolist())
        assert (shown == hide(tokens, selected, rule, VOCABULARY, np.random.default_rng(seed))).all()


def test_eight_in_ten_are_masked_one_is_random_and_one_is_kept() -> None:
    size = 60_000
    tokens = np.full(size, 20)
    rule = MaskingConfig(replacement="80-10-10")
    shown = hide(tokens, np.arange(size), rule, VOCABULARY, np.random.default_rng(0))
    share = np.bincount(shown, minlength=VOCABULARY) / size
    text = VOCABULARY - FIRST_BYTE_ID
    expected = np.zeros(VOCABULARY)
    expected[FIRST_BYTE_ID:] = 0.1 / text  # all text tokens alike, the last one too; never a special one
    expected[MASK_ID] = 0.8
    expected[20] += 0.1
    error = 4 * np.sqrt(np.maximum(expected * (1 - expected), 1e-12) / size)
    assert (np.abs(share - expected) <= error).all()
