"""Translation pairs out of groups."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from xformer.data.pairs import TranslationPairs
from xformer.errors import InputError

# (group, language, whole) of each example; few of each, so that groups are shared.
EXAMPLES = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=25)
Examples = list[tuple[int, int, bool]]


def _columns(rows: Examples) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.bool_]]:
    group, language, whole = zip(*rows, strict=True)
    return np.array(group, dtype=np.int64), np.array(language, dtype=np.uint16), np.array(whole, dtype=bool)


def _translations(rows: Examples, example: int) -> list[int]:
    group, language, _ = rows[example]
    return [i for i, (g, lang, whole) in enumerate(rows) if whole and g == group and lang != language]


@given(EXAMPLES)
def test_those_with_a_translation_are_found(rows: Examples) -> None:
    expected = [i for i, row in enumerate(rows) if row[2] and _translations(rows, i)]
    if expected:
        assert TranslationPairs(*_columns(rows)).examples().tolist() == expected
    else:
        with pytest.raises(
            InputError, match="translation pairs: expected groups with texts in two languages"
        ):
            TranslationPairs(*_columns(rows))


@given(EXAMPLES, st.integers(0, 2**32))
def test_a_partner_says_the_same_in_another_language(rows: Examples, seed: int) -> None:
    rows = [*rows, (4, 0, True), (4, 1, True)]  # at least one pair
    pairs = TranslationPairs(*_columns(rows))
    asked = np.tile(pairs.examples(), 3)
    partners = pairs.partners(asked, np.random.default_rng(seed))
    assert partners.shape == asked.shape
    assert all(b in _translations(rows, a) for a, b in zip(asked.tolist(), partners.tolist(), strict=True))
    assert partners.tolist() == pairs.partners(asked, np.random.default_rng(seed)).tolist()


def test_every_translation_is_as_likely_as_any_other() -> None:
    rows = [(7, 0, True), (7, 0, True), (7, 1, True), (7, 2, True), (7, 2, True), (7, 3, False), (8, 1, True)]
    pairs = TranslationPairs(*_columns(rows))
    draws = 30_000
    partners = Counter(pairs.partners(np.zeros(draws, dtype=np.int64), np.random.default_rng(0)).tolist())
    assert set(partners) == {2, 3, 4}
    deviation = (draws * (1 / 3) * (2 / 3)) ** 0.5
    assert all(abs(count - draws / 3) < 4 * deviation for count in partners.values())


def test_the_pivot_is_the_partner_as_often_as_asked() -> None:
    rows = [(7, 0, True), (7, 1, True), (7, 1, True), (7, 2, True), (8, 0, True), (8, 2, True)]
    draws = 20_000
    pairs = TranslationPairs(*_columns(rows), pivot=1, pivot_share=0.6)

    def partners(example: int) -> Counter[int]:
        asked = np.full(draws, example, dtype=np.int64)
        return Counter(pairs.partners(asked, np.random.default_rng(0)).tolist())

    # Of group 7: the pivot's two texts take 0.6, and two thirds of what is drawn evenly from three.
    expected = {1: 0.3 + 0.4 / 3, 2: 0.3 + 0.4 / 3, 3: 0.4 / 3}
    found = partners(0)
    assert set(found) == set(expected)
    assert all(abs(found[i] / draws - share) < 0.02 for i, share in expected.items())
    assert set(partners(1)) == {0, 3}  # the pivot itself meets the others
    assert set(partners(4)) == {5}  # without a pivot text there is still a partner


def test_no_example_has_no_partner() -> None:
    pairs = TranslationPairs(*_columns([(1, 0, True), (1, 1, True)]))
    assert pairs.partners(np.zeros(0, dtype=np.int64), np.random.default_rng(0)).tolist() == []


def test_pieces_of_cut_texts_are_no_translations() -> None:
    with pytest.raises(InputError):
        TranslationPairs(*_columns([(1, 0, True), (1, 1, False), (1, 1, False)]))
