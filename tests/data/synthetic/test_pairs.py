from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.synthetic.pairs import OTHER, TRANSLATION, Negatives, pairs_of
from xformer.data.trigrams import trigrams
from xformer.errors import InputError

TEXTS = [("a cat", "eine Katze"), ("a dog", "ein Hund"), ("two cats", "zwei Katzen"), ("a house", "ein Haus")]
KINDS: list[Negatives] = ["trigrams", "length", "random"]


@pytest.mark.parametrize("negatives", KINDS)
@given(
    texts=st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), min_size=2, max_size=20),
    seed=st.integers(0, 3),
)
def test_each_text_stands_beside_its_translation_and_beside_another(
    negatives: Negatives, texts: list[tuple[str, str]], seed: int
) -> None:
    known = {(one.casefold(), other.casefold()) for one, other in texts}
    ends = {other for _, other in known}
    if any(all((one, end) in known for end in ends) for one, _ in known):
        with pytest.raises(InputError, match="expected"):
            pairs_of(texts, negatives, seed)
        return
    rows = pairs_of(texts, negatives, seed)
    assert rows == pairs_of(texts, negatives, seed)
    assert Counter((one, other) for one, other, label in rows if label == TRANSLATION) == Counter(texts)
    assert Counter(one for one, _, label in rows if label == OTHER) == Counter(one for one, _ in texts)
    others = {other for _, other in texts}
    for one, other, label in rows:
        if label == OTHER:
            assert other in others
            assert (one, other) not in texts


def test_hard_ones_are_near() -> None:
    def chosen(negatives: Negatives) -> dict[str, str]:
        return {one: other for one, other, label in pairs_of(TEXTS, negatives, 0) if label == OTHER}

    assert chosen("trigrams")["a cat"] == "zwei Katzen"
    assert chosen("trigrams")["a dog"] == "ein Haus"
    assert chosen("length")["two cats"] == "eine Katze"


def test_the_nearest_are_those_of_exact_trigrams(rng: np.random.Generator) -> None:
    words = ["cat", "dog", "house", "sees", "red", "small", "two", "under"]
    texts = [" ".join(rng.choice(words, size=4)) for _ in range(40)]
    rows = pairs_of([(text, text) for text in sorted(set(texts))], "trigrams", 0)
    found = {one: other for one, other, label in rows if label == OTHER}
    sets = {text: trigrams(text) for text in found}
    rarity = Counter(trigram for one in sets.values() for trigram in one)
    weight = {trigram: np.log(len(sets) / count) + 1 for trigram, count in rarity.items()}

    def cosine(a: str, b: str) -> float:
        dot = sum(weight[one] ** 2 for one in sets[a] & sets[b])
        return float(dot / np.prod([np.sqrt(sum(weight[one] ** 2 for one in sets[c])) for c in (a, b)]))

    for one, other in found.items():
        best = max(cosine(one, text) for text in sets if text != one)
        assert cosine(one, other) > best - 0.03  # some trigrams share a number


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="at least two different"):
        pairs_of([("a", "b"), ("a", "c")], "random", 0)
    with pytest.raises(InputError, match="expected one of trigrams, length, random, got 'hard'"):
        pairs_of(TEXTS, "hard", 0)  # type: ignore[arg-type]
