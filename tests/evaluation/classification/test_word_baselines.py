from __future__ import annotations

import numpy as np
import pytest

from xformer.evaluation.classification.word_baselines import tags_as_seen, tags_by_letters

WORDS = ["der", "der", "the", "die", "die", "die"]
TAGS = np.eye(3, dtype=bool)[[0, 0, 1, 0, 1, 1]]


def test_a_word_has_the_tags_that_it_had() -> None:
    predict = tags_as_seen(WORDS, TAGS)
    found = predict(["der", "die", "the", "new"])
    share = TAGS.mean(axis=0)
    expected = np.array([[2, 0, 0], [1, 2, 0], [0, 1, 0], [0, 0, 0]]) + share
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True))
    assert predict([]).shape == (0, 3)


def test_letters_tell_words_that_training_lacks() -> None:
    pytest.importorskip("sklearn")
    words = [f"{a}{b}" for a in "abcdefgh" for b in ("ung", "keit", "ing", "ness")] * 2
    targets = np.eye(3, dtype=bool)[[word.endswith(("ing", "ness")) * 1 for word in words]]
    found = tags_by_letters(words, targets)(["xung", "xness", "xung", ""])
    assert found.argmax(axis=1).tolist()[:3] == [0, 1, 0]
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found[:, 2] == 0).all()
    assert tags_by_letters(words, targets)([]).shape == (0, 3)
