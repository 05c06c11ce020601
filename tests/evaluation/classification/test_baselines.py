from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.errors import InputError
from xformer.evaluation.classification.baselines import Units, majority, tfidf, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't panic, 42!", ["don", "t", "panic", "42"]),
        ("हिन्दी में लिखो", ["हिन्दी", "में", "लिखो"]),
        ("中文书", ["中", "中文", "文", "文书", "书"]),
        ("Linux 上的", ["linux", "上", "上的", "的"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("…!? \n", []),
    ],
)
def test_words_of_any_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text())
def test_no_letter_and_no_mark_is_lost(text: str) -> None:
    found = set("".join(words(text)))
    assert {one for one in text.lower() if one.isalnum()} <= found


def test_the_majority_says_what_is_common() -> None:
    train = np.array([[True, False], [True, False], [False, True]])
    assert majority(train, 2).tolist() == [[2 / 3, 1 / 3]] * 2


@pytest.mark.parametrize("units", ["words", "characters"])
def test_tfidf_learns_topics(units: Units) -> None:
    pytest.importorskip("sklearn")
    animals, metals = ["a red cat", "the old dog", "cat and dog"], ["iron ore", "pure gold", "gold and iron"]
    texts = [f"{text} {n}" for text in animals + metals for n in range(10)]
    targets = np.array([[True, False, False]] * 30 + [[False, False, True]] * 30)
    found = tfidf(units, texts, targets, multi_label=False)(["my dog", "golden gold"])
    assert found.argmax(axis=1).tolist() == [0, 2]
    assert found.sum(axis=1) == pytest.approx(1.0)
    assert found[:, 1].tolist() == [0.0, 0.0]
    several = targets.copy()
    several[:, 1] = True
    found = tfidf(units, texts, several, multi_label=True)(["my dog", "golden gold"])
    assert (found > 0.5).tolist() == [[True, True, False], [False, True, True]]
    with pytest.raises(InputError, match="at least two classes"):
        tfidf(units, texts[:30], targets[:30], multi_label=False)
