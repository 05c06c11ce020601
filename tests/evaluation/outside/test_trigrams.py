import numpy as np
import pytest

from xformer.evaluation.outside.trigrams import Trigrams
from xformer.evaluation.retrieval import retrieval

TEXTS = [
    "A man in Berlin plays the guitar.",
    "Ein Mann in Berlin  spielt\tGitarre.",
    "Two dogs run.",
    "Zwei Hunde rennen, 42 Katzen auch",
    "二匹の犬",
    "!",
    "two dogs run.",
]


def test_cosines_are_those_of_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    shown = [f" {' '.join(one.split())} " for one in TEXTS]
    vectors = text.TfidfVectorizer(analyzer="char", ngram_range=(3, 3)).fit_transform(shown)
    expected = (vectors @ vectors.T).toarray()
    found, every = Trigrams(TEXTS), np.arange(len(TEXTS))
    assert len(found) == len(TEXTS)
    assert found.with_keys(every)(every).numpy() == pytest.approx(expected)
    some = np.array([6, 0, 3])
    assert found.with_keys(some)(every[:4]).numpy() == pytest.approx(expected[:4][:, some])


def test_it_retrieves_what_shares_names() -> None:
    group, language = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    (one,) = retrieval(Trigrams(TEXTS[:4]), group, language, 0, min_messages=1).languages
    assert one.to_pivot.top1 == 0.5 + 0.5 * float(one.to_pivot.hits[1])
    assert one.from_pivot.hits[0] == 1


def test_texts_that_share_nothing_are_a_tie() -> None:
    texts = ["abc def", "ghi jkl", "mno pqr", "stu vwx"]
    group, language = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    (one,) = retrieval(Trigrams(texts), group, language, 0, min_messages=1).languages
    assert one.top1 == 0.5
