"""Sides are scored alike, and beside the first sentence."""

from __future__ import annotations

import pytest

from xformer.evaluation.summarization.judge import LEAD, ORACLE, judge

TEXTS = [f"Word {i}. A red dog {i} sees cats. The rain falls." for i in range(12)]
REFERENCES = [f"a red dog {i} sees" for i in range(12)]


def test_without_rouge_there_is_chrf() -> None:
    found = judge(TEXTS, REFERENCES, {"same": REFERENCES}, with_rouge=False)
    assert list(found) == ["same", LEAD, "TextRank"]
    assert (found["same"].rouge, found["same"].above_lead) == ({}, None)
    mean, low, high = found["same"].chrf_above_lead
    assert mean == pytest.approx(100 - found[LEAD].chrf)
    assert 0 < low <= mean <= high


def test_sides() -> None:
    pytest.importorskip("rouge_score", reason="needs rouge-score: pip install 'xformer[summarize]'")
    told: list[str] = []
    found = judge(
        TEXTS, REFERENCES, {"same": REFERENCES}, progress=lambda side, done, total: told.append(side)
    )
    assert list(found) == ["same", LEAD, "TextRank", ORACLE] == told
    assert found["same"].rouge == dict.fromkeys(("rouge1", "rouge2", "rougeL"), 1.0)
    assert found["same"].chrf == pytest.approx(100)
    assert found[LEAD].above_lead == (0, 0, 0)
    assert found[LEAD].rouge["rougeL"] < found[ORACLE].rouge["rougeL"] < 1
    above = found[ORACLE].above_lead
    assert above is not None
    for mean, low, high in (above, found[ORACLE].chrf_above_lead):
        assert 0 < low <= mean <= high
    assert judge(TEXTS, REFERENCES, {"same": REFERENCES}) == found
