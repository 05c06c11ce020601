"""ROUGE is rouge-score's, with words of all scripts."""

from __future__ import annotations

import numpy as np
import pytest

from xformer.errors import InputError
from xformer.evaluation.summarization.rouge import KINDS, require_rouge, rouge, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Größe 3.5: don't", ["größe", "3", "5", "don", "t"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("العربية، نعم", ["العربية", "نعم"]),
        ("中文 text字", ["中", "文", "text", "字"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("한국어 글", ["한국어", "글"]),
        (" .,\u0301 ", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_equal_texts_of_all_scripts_score_one() -> None:
    pytest.importorskip("rouge_score", reason="needs rouge-score: pip install 'xformer[summarize]'")
    texts = ["これは日本語です", "สวัสดีครับ", "هذه جملة", "यह वाक्य है", "an English text"]
    np.testing.assert_allclose(rouge(texts, texts).scores, 1)
    np.testing.assert_allclose(rouge(texts[:-1], ["x y"] * 4).scores, 0)


def test_english_has_the_scores_of_the_library() -> None:
    scorer = pytest.importorskip(
        "rouge_score.rouge_scorer", reason="needs rouge-score: pip install 'xformer[summarize]'"
    )
    pairs = [("the cat sat on the mat", "a cat sat on a red mat"), ("set of tools", "tools for Perl")]
    theirs = scorer.RougeScorer(list(KINDS))
    expected = [[theirs.score(b, a)[kind].fmeasure for kind in KINDS] for a, b in pairs]
    ours = rouge([a for a, _ in pairs], [b for _, b in pairs])
    np.testing.assert_allclose(ours.scores, expected)
    assert ours.mean["rougeL"] == pytest.approx(np.mean([row[2] for row in expected]))


def test_as_many_references_as_summaries() -> None:
    with pytest.raises(InputError, match="a reference for each of 2 summaries, got 1"):
        rouge(["a", "b"], ["a"])


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(InputError, match=r"pip install 'xformer\[summarize\]'"):
        require_rouge()
