"""sacreBLEU's scores. Covers `report` and `table`."""

from __future__ import annotations

import json

import pytest

from xformer.errors import InputError
from xformer.evaluation.translation.report import (
    DirectionReport,
    TranslationComparison,
    TranslationReport,
)
from xformer.evaluation.translation.scores import bleu_tokenizer, paired, require_scorers, scores
from xformer.evaluation.translation.table import comparison_table, translation_markdown, translation_table

pytest.importorskip("sacrebleu")

REFERENCES = [f"the dog number {n} runs over the green field" for n in range(30)]
GOOD = [text.replace("runs", "walks") if n % 3 == 0 else text for n, text in enumerate(REFERENCES)]
BAD = [text.replace("green field", "blue lake") for text in REFERENCES]


def test_scores_have_intervals_and_signatures() -> None:
    import sacrebleu

    found = scores(GOOD, REFERENCES, "en")
    assert found.bleu.value == pytest.approx(sacrebleu.corpus_bleu(GOOD, [REFERENCES]).score)
    assert found.chrf.value == pytest.approx(sacrebleu.corpus_chrf(GOOD, [REFERENCES], word_order=2).score)
    for score in (found.bleu, found.chrf):
        assert score.low < score.value < score.high
        assert f"version:{sacrebleu.__version__}" in score.signature
        assert "bs:1000" in score.signature
    assert "tok:13a" in found.bleu.signature
    report = TranslationReport("run", None, 3, 4, 1.5, 0, {"de-en": DirectionReport(30, found, found)})
    assert f"`{found.bleu.signature}`" in translation_markdown(report)
    assert f"| {found.bleu.value:.2f} |" in translation_markdown(report)
    assert translation_table(report).row_count == 1
    record = report.to_record()
    assert record.pop("format") == 1
    assert TranslationReport.from_record(json.loads(json.dumps(record))) == report


def test_chinese_has_a_tokenizer_that_finds_its_words() -> None:
    found = scores(["我爱你们，北京"], ["我爱你，北京"], "zh-Hans")
    assert "tok:zh" in found.bleu.signature
    assert found.bleu.value > 10
    assert [bleu_tokenizer(tag) for tag in ("ja", "ko-KR", "th", "pt-BR")] == [
        "ja-mecab",
        "ko-mecab",
        "flores200",
        "13a",
    ]


@pytest.mark.parametrize(
    ("language", "module", "expected"),
    [("ja", "MeCab", r"pip install 'sacrebleu\[ja\]'"), ("ko", "mecab_ko", r"pip install 'sacrebleu\[ko\]'")],
)
def test_what_is_missing_is_named(
    language: str, module: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, module, None)
    for name in [name for name in sys.modules if name.startswith("sacrebleu.tokenizers.tokenizer_")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError, match=expected):
        require_scorers(["en", language])


def test_thai_says_which_file_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr("sacrebleu.utils.SACREBLEU_DIR", str(tmp_path))
    with pytest.raises(InputError, match="needs sacreBLEU's tokenizer flores200: expected its file"):
        require_scorers(["th"])


def test_two_systems_are_told_apart() -> None:
    found = paired(GOOD, BAD, REFERENCES, "en")
    assert found["bleu"].ours == pytest.approx(scores(GOOD, REFERENCES, "en").bleu.value)
    assert found["bleu"].theirs == pytest.approx(scores(BAD, REFERENCES, "en").bleu.value)
    assert found["bleu"].p_value < 0.01
    alike = paired(GOOD, [*GOOD[:-1], BAD[-1]], REFERENCES, "en")
    assert alike["bleu"].p_value > 0.05
    assert "bs:1000" in found["chrf"].signature
    assert comparison_table(TranslationComparison("a", "b", {"de-en": found})).row_count == 2
