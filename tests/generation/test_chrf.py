from __future__ import annotations

import pytest

from xformer.generation.chrf import character_ngrams, chrf, corpus_chrf

PAIRS = [
    ("the cat sat on the mat", "the cat is on the mat"),
    ("", "a dog"),
    ("ein Hund", "ein Hund"),
    ("ab", "ba"),
    ("x", "Ein sehr langer Satz, der nicht passt."),
]


def test_scores_are_those_of_sacrebleu() -> None:
    metrics = pytest.importorskip("sacrebleu.metrics")
    theirs = metrics.CHRF()
    hypotheses, references = map(list, zip(*PAIRS, strict=True))
    assert corpus_chrf(hypotheses, references) == pytest.approx(
        theirs.corpus_score(hypotheses, [references]).score
    )
    for ours, reference in PAIRS:
        assert corpus_chrf([ours], [reference]) == pytest.approx(
            theirs.corpus_score([ours], [[reference]]).score
        )


def test_one_text_is_a_corpus() -> None:
    for ours, reference in PAIRS:
        one = chrf(character_ngrams(ours), character_ngrams(reference))
        assert one == corpus_chrf([ours], [reference])
    assert corpus_chrf([], []) == 0.0
    assert corpus_chrf(["ein Hund"], ["ein Hund"]) == 100.0
