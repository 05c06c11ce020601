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

from xformer.data.counter_rng import Bits, fold_in, random_bits
from xformer.model.packed import pack
from xformer.objectives.masking import choose, hide
from xformer.runs.config import Masking, MaskingConfig, Replacement
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


def _packed(sequences: list[list[int]], seed: int = 0) -> tuple[Ids, Ids, Bits]:
    """Tokens, positions, and chance that depends on a sequence's number in the list."""
    batch = pack(sequences)
    positions = batch.positions.numpy()
    chance = fold_in(np.repeat(random_bits(seed, batch.order.numpy()), batch.lengths), positions)
    return batch.tokens.numpy(), positions, chance


def _choose(tokens: Ids, positions: Ids, chance: Bits, config: MaskingConfig) -> Ids:
    return choose(tokens, positions, chance, config, starts_word)


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
def test_only_text_is_chosen_once_and_in_order(
    sequences: list[list[int]], config: MaskingConfig, seed: int
) -> None:
    tokens, positions, chance = _packed(sequences, seed)
    selected = _choose(tokens, positions, chance, config)
    assert (np.diff(selected) > 0).all()
    assert (tokens[selected] >= FIRST_BYTE_ID).all()


@given(SEQUENCES, st.floats(0.05, 0.95), st.integers(0, 2**32))
def test_of_each_text_its_share_of_tokens_is_chosen_or_of_whole_words(
    sequences: list[list[int]], rate: float, seed: int
) -> None:
    tokens, positions, chance = _packed(sequences, seed)
    text = np.cumsum(positions == 0) - 1
    tokens_by_text = np.bincount(text[tokens >= FIRST_BYTE_ID], minlength=len(sequences))
    chosen = _choose(tokens, positions, chance, MaskingConfig(rate=rate))
    wanted = rate * tokens_by_text
    found = np.bincount(text[chosen], minlength=len(sequences))
    assert (np.abs(found - wanted) < 1).all()  # one of the two whole numbers beside it
    whole = set(_choose(tokens, positions, chance, MaskingConfig(rate=rate, unit="word")).tolist())
    words = _words(tokens, positions)
    assert all(whole.isdisjoint(word) or whole.issuperset(word) for word in words)
    of_text = [text[word[0]] for word in words]
    found = np.bincount(
        [t for t, word in zip(of_text, words, strict=True) if word[0] in whole], minlength=len(sequences)
    )
    wanted = rate * np.bincount(of_text, minlength=len(sequences))
    assert (np.abs(found - wanted) < 1).all()


@given(SEQUENCES, CONFIGS, st.sampled_from(["mask", "80-10-10"]), st.integers(0, 2**32), st.data())
def test_what_is_hidden_in_a_text_does_not_depend_on_its_neighbours(
    sequences: list[list[int]],
    config: MaskingConfig,
    replacement: Replacement,
    seed: int,
    data: st.DataObject,
) -> None:
    config = replace(config, replacement=replacement)

    def by_text(numbers: list[int]) -> dict[int, tuple[list[int], list[int]]]:
        """Of some texts alone, by their numbers: what is chosen, and what is shown."""
        batch = pack([sequences[number] for number in numbers])
        tokens, positions = batch.tokens.numpy(), batch.positions.numpy()
        keys = random_bits(seed, np.array(numbers)[batch.order.numpy()])
        chance = fold_in(np.repeat(keys, batch.lengths), positions)
        selected = _choose(tokens, positions, chance, config)
        shown = hide(tokens, selected, chance, config, VOCABULARY)
        found = {}
        edges = pairwise(batch.cu_seqlens.tolist())
        for place, (start, stop) in zip(batch.order.tolist(), edges, strict=True):
            mine = selected[(selected >= start) & (selected < stop)] - start
            found[numbers[place]] = mine.tolist(), shown[start:stop].tolist()
        return found

    whole = by_text(list(range(len(sequences))))
    some = data.draw(st.lists(st.sampled_from(range(len(sequences))), min_size=1, unique=True))
    assert by_text(some) == {number: whole[number] for number in some}


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
    tokens, positions, chance = _packed([[10] * 400_000])
    runs = np.bincount(_runs(_choose(tokens, positions, chance, config), positions), minlength=7)
    p = 1 / 3
    expected = np.array([p * (1 - p) ** (n - 1) for n in range(1, 6)] + [(1 - p) ** 5])
    share = runs[1:7] / runs.sum()
    assert np.abs(share - expected).max() < 0.05
    assert runs[7:].sum() / runs.sum() < 0.03


def test_a_span_ends_with_its_sequence_and_at_a_special_token() -> None:
    config = MaskingConfig(rate=0.001, unit="span", span_mean=50.0, span_max=100)
    separated = [10, 11, 12, 2, 13, 14, 15]  # two texts with </s> between them
    seen = set()
    for seed in range(60):
        tokens, positions, chance = _packed([separated] * 500 + [[20, 21]] * 500, seed)
        selected = _choose(tokens, positions, chance, config)  # so few that they do not touch
        breaks = (np.diff(selected) > 1) | (np.diff(positions[selected]) != 1)
        for part in np.split(selected, np.flatnonzero(breaks) + 1):
            seen.add(tuple(tokens[part].tolist()))
    assert {(10, 11, 12), (13, 14, 15), (20, 21)} <= seen  # most spans would be longer
    assert all(2 not in span for span in seen)


TEXTS = [[9, 10, 11, 12], [12, 13, 15, 16, 2, 30, 31], [18, 19], [20]]  # words of one to three tokens


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("rate", [0.07, 0.3, 0.5])
def test_every_token_is_as_likely_as_any_other(unit: Masking, rate: float) -> None:
    texts = 40_000
    config = MaskingConfig(rate=rate, unit=unit, span_max=3)
    tokens, positions, chance = _packed(TEXTS * texts)
    selected = _choose(tokens, positions, chance, config)
    hidden = np.zeros(len(tokens))
    hidden[selected] = 1
    deviation = (rate * (1 - rate) / texts) ** 0.5
    for text in TEXTS:
        begin = np.flatnonzero((positions == 0) & (tokens == text[0]))
        assert len(begin) == texts
        for place, token in enumerate(text):
            share = hidden[begin + place].mean()
            assert share == pytest.approx(0 if token == 2 else rate, abs=4.5 * deviation)


@pytest.mark.parametrize("unit", UNITS)
def test_a_step_hides_nearly_the_same_number_each_time(unit: Masking) -> None:
    config, rng, steps = MaskingConfig(unit=unit), np.random.default_rng(0), 400
    sequences = [rng.integers(5, VOCABULARY, size=n).tolist() for n in rng.integers(10, 40, size=100)]
    counts = []
    for seed in range(steps):
        tokens, positions, chance = _packed(sequences, seed)
        counts.append(len(_choose(tokens, positions, chance, config)))
    alike = 1 + 5 * (2 / steps) ** 0.5  # how far a variance strays
    if unit == "token":  # a text has one more or one less
        most = len(sequences) / 4
    else:  # less than if each unit were by itself
        sizes = [len(word) for word in _words(tokens, positions)]
        most = (
            0.9 * 0.3 * 0.7 * (sum(n * n for n in sizes) if unit == "word" else _SPAN_SQUARES * len(tokens))
        )
    assert np.var(counts) < alike * most
    assert np.mean(counts) == pytest.approx(0.3 * len(tokens), abs=5 * (alike * most / steps) ** 0.5)


_SPANS = np.array([(1 / 3) * (2 / 3) ** (n - 1) for n in range(1, 10)] + [(2 / 3) ** 9])
"""Chances of spans of 1 to 10 tokens, by the default settings."""
_SPAN_SQUARES = float(_SPANS @ np.arange(1, 11) ** 2 / (_SPANS @ np.arange(1, 11)))
"""The sum of their squares, a token; ends of texts aside."""


def test_a_little_text_is_hidden_as_often_as_any() -> None:
    tokens, positions, chance = _packed([[7]] * 100_000)
    count = len(_choose(tokens, positions, chance, MaskingConfig(rate=0.01)))
    assert count == pytest.approx(1_000, abs=5 * 1_000**0.5)
    none = np.zeros(0, dtype=np.int64)
    for unit in UNITS:
        assert _choose(none, none, random_bits(none), MaskingConfig(unit=unit)).tolist() == []


@given(SEQUENCES, CONFIGS, st.integers(0, 2**32))
@settings(max_examples=50)
def test_hiding_changes_the_chosen_tokens_only(
    sequences: list[list[int]], config: MaskingConfig, seed: int
) -> None:
    tokens, positions, chance = _packed(sequences, seed)
    before = tokens.copy()
    selected = _choose(tokens, positions, chance, config)
    rest = np.setdiff1d(np.arange(len(tokens)), selected)
    for replacement in ("80-10-10", "mask"):
        rule = replace(config, replacement=replacement)
        shown = hide(tokens, selected, chance, rule, VOCABULARY)
        assert (tokens == before).all()
        assert (shown[rest] == tokens[rest]).all()
        if replacement == "mask":
            assert (shown[selected] == MASK_ID).all()
        else:
            assert all(id == MASK_ID or id >= FIRST_BYTE_ID for id in shown[selected].tolist())


def test_eight_in_ten_are_masked_one_is_random_and_one_is_kept() -> None:
    size = 60_000
    tokens = np.full(size, 20)
    rule = MaskingConfig(replacement="80-10-10")
    shown = hide(tokens, np.arange(size), random_bits(np.arange(size)), rule, VOCABULARY)
    share = np.bincount(shown, minlength=VOCABULARY) / size
    text = VOCABULARY - FIRST_BYTE_ID
    expected = np.zeros(VOCABULARY)
    expected[FIRST_BYTE_ID:] = 0.1 / text  # all text tokens alike, the last one too; never a special one
    expected[MASK_ID] = 0.8
    expected[20] += 0.1
    error = 4 * np.sqrt(np.maximum(expected * (1 - expected), 1e-12) / size)
    assert (np.abs(share - expected) <= error).all()


def test_fate_has_nothing_to_do_with_what_is_chosen() -> None:
    """What is first in the order of units is masked, changed and kept as often as what is last."""
    tokens, positions, chance = _packed([[10, 11, 12, 13]] * 50_000)
    rule = MaskingConfig(rate=0.25, replacement="80-10-10")
    selected = _choose(tokens, positions, chance, rule)
    shown = hide(tokens, selected, chance, rule, VOCABULARY)
    deviation = (0.8 * 0.2 / len(selected)) ** 0.5
    assert (shown[selected] == MASK_ID).mean() == pytest.approx(0.8, abs=4.5 * deviation)
