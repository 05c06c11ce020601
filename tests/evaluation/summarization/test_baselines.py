"""The first sentence, the best one, and the one that shares most words with the others."""

from __future__ import annotations

import numpy as np
import pytest

from xformer.evaluation.summarization.baselines import lead, oracle, text_rank

TEXT = "A dog runs. The red dog sees a cat. A cat and a dog run and see. Rain falls."


def test_lead() -> None:
    assert lead(TEXT) == "A dog runs."
    assert lead(TEXT, 2) == "A dog runs. The red dog sees a cat."
    assert lead("") == ""


def test_oracle() -> None:
    pytest.importorskip("rouge_score", reason="needs rouge-score: pip install 'xformer[summarize]'")
    assert oracle(TEXT, "a red dog") == "The red dog sees a cat."
    assert oracle(TEXT, "rain") == "Rain falls."
    assert oracle("", "rain") == ""


def test_text_rank() -> None:
    networkx = pytest.importorskip("networkx", reason="networkx is not installed: torch brings it")
    from xformer.evaluation.summarization.baselines import _overlap, _ranks
    from xformer.evaluation.summarization.rouge import words
    from xformer.summarization.sentences import split_sentences

    likeness = _overlap([words(sentence) for sentence in split_sentences(TEXT)])
    connected = likeness[:3, :3]
    theirs = networkx.pagerank(networkx.from_numpy_array(connected), alpha=0.85, tol=1e-10)
    np.testing.assert_allclose(_ranks(connected), list(theirs.values()), atol=1e-6)
    assert _ranks(likeness).sum() == pytest.approx(1)
    assert text_rank(TEXT) != "Rain falls."
    assert text_rank(TEXT, 9) == TEXT
    assert text_rank("") == ""
