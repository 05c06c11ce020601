"""Which tokens are hidden depends on the text and the seed alone; special tokens are never hidden."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inspect.analysis.tiny_subject import LETTERS, MASK, tokenise
from xformer.errors import InputError
from xformer.inspect.analysis.hidden import hidden_places, hide

words = st.lists(st.text(LETTERS, max_size=20), min_size=1, max_size=5)


@given(words, st.integers(0, 3), st.sampled_from([0.1, 0.5, 0.9]))
def test_a_text_is_hidden_alike_in_any_company(texts: list[str], seed: int, rate: float) -> None:
    several = [tokenise(text) for text in texts]
    for text in several:
        places = hidden_places(text.ids, text.special, rate=rate, seed=seed)
        letters = len(text) - 2
        assert np.floor(rate * letters) <= len(places) <= np.ceil(rate * letters)
        assert all(1 <= place <= letters for place in places)
        if len(places):
            found = [
                one
                for one in hide(several[::-1], None, mask_id=MASK, rate=rate, seed=seed)
                if one.text.text == text.text
            ]
            np.testing.assert_array_equal(found[0].places, places)
            np.testing.assert_array_equal(found[0].targets, text.ids[places])
            assert (found[0].text.ids == MASK).nonzero()[0].tolist() == places.tolist()
            shown = found[0].text.ids.copy()
            shown[places] = found[0].targets
            np.testing.assert_array_equal(shown, text.ids)


def test_each_letter_is_equally_likely() -> None:
    text = tokenise("abcdefgh")
    counts = np.zeros(len(text))
    for seed in range(2000):
        counts[hidden_places(text.ids, text.special, rate=0.3, seed=seed)] += 1
    assert counts[[0, -1]].tolist() == [0, 0]
    # 600 of 2,000 expected at each place, with a standard deviation of about 20.
    assert np.abs(counts[1:-1] - 600).max() < 100


def test_languages_and_numbers_stay_with_their_texts() -> None:
    texts = [tokenise(text) for text in ("a", "abcdefghij", "")]
    found = hide(texts, ["x", "y", "z"], mask_id=MASK, rate=0.5)
    by_number = {one.number: one.language for one in found}
    assert by_number[1] == "y"
    assert 2 not in by_number


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask_id": None}, "has none"),
        ({"rate": 0.0}, "between 0 and 1"),
        ({"rate": 1.0}, "between 0 and 1"),
        ({"languages": ["x"]}, "one for each of 2 texts"),
        ({"texts": [tokenise(""), tokenise("")]}, "none has a hidden token"),
    ],
)
def test_wrong_questions(change: dict[str, object], message: str) -> None:
    given: dict[str, object] = {
        "texts": [tokenise("abc"), tokenise("de")],
        "languages": None,
        "mask_id": MASK,
    }
    given |= change
    with pytest.raises(InputError, match=message):
        hide(given.pop("texts"), given.pop("languages"), **given)  # type: ignore[arg-type]
