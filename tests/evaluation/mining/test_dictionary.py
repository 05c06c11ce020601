"""The dictionary against IBM model 1 word by word, and the lengths against their definition."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.evaluation.mining.dictionary import Dictionary, LengthAndDictionary, Lengths, words_of

Words = list[str]


def by_definition(pairs: list[tuple[Words, Words]], rounds: int = 5) -> dict[tuple[str, str], float]:
    """Brown et al. 1993, model 1, without the empty word: t(y | x)."""
    t: dict[tuple[str, str], float] = defaultdict(lambda: 1.0)
    for _ in range(rounds):
        counts: dict[tuple[str, str], float] = defaultdict(float)
        totals: dict[str, float] = defaultdict(float)
        for left, right in pairs:
            for y in right:
                whole = sum(t[x, y] for x in left)
                for x in left:
                    counts[x, y] += t[x, y] / whole
                    totals[x] += t[x, y] / whole
        t = defaultdict(float, {(x, y): count / totals[x] for (x, y), count in counts.items()})
    return t


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcd"), min_size=1, max_size=4),
            st.lists(st.sampled_from("wxyz"), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_it_is_model_1(pairs: list[tuple[Words, Words]]) -> None:
    learned = Dictionary(pairs).translations
    for (x, y), probability in by_definition(pairs).items():
        if abs(probability - 0.02) > 1e-9:
            expected = probability if probability >= 0.02 else 0
            assert learned.get(x, {}).get(y, 0) == pytest.approx(expected, rel=1e-9)


def test_coverage_is_the_mean_of_best_translations() -> None:
    dictionary = Dictionary([(["a"], ["x"])])
    dictionary.translations = {"a": {"x": 0.75, "y": 0.25}, "b": {"z": 1.0}}
    found = dictionary.covered([["a", "b"], ["a"], ["unknown"], []], [["x", "y"], ["y", "z"], []])
    expected = np.array([[0.375, 0.625, 0], [0.75, 0.25, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(found, expected)


def test_lengths() -> None:
    lengths = Lengths.of(["ab", "abcd", ""], ["abcd", "abcdefgh", "x"])
    assert lengths.mean == pytest.approx(np.log(2))
    assert lengths.deviation == 0.1
    likeness = lengths.likeness(["ab"], ["abcd", "ab", ""])
    assert likeness[0, 0] == 1
    assert likeness[0, 1] == pytest.approx(np.exp(-0.5 * (np.log(2) / 0.1) ** 2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man's hat, (red)!", ["a", "man's", "hat", "red"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("ファイルを開く。", list("ファイルを開く")),
        ("… — ", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_learned_pairs_are_nearest() -> None:
    a = ["eins zwei", "zwei drei", "drei eins", "eins", "zwei"]
    b = ["one two", "two three", "three one", "one", "two"]
    learned = LengthAndDictionary.learn(a, b)
    assert learned.similarities(a, b).argmax(axis=1).tolist() == [0, 1, 2, 3, 4]


def test_nothing_to_learn() -> None:
    with pytest.raises(ValueError, match="expected pairs of texts with words"):
        Dictionary([([], ["x"])])
