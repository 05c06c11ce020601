"""The bench of summaries on a small run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xformer.benchmarks.summaries.command import THE_RUN, SummariesBench
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "test.en.jsonl"
    row = {"text": "Dog sees house. Cat sees house. Dog buys apple.", "summary": "cat and dog"}
    path.write_text(f"{json.dumps(row)}\n" * 4, encoding="utf-8")
    return path


def test_all_sides_are_in_the_record(
    trained: RunDirectory, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rouge_score", reason="needs rouge-score: pip install 'xformer[summarize]'")
    out = tmp_path / "summaries.json"
    assert SummariesBench((rows,), trained.path, texts=3, out=out).run_command() == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in (THE_RUN, "lead-1", "TextRank", "oracle"))
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["texts"] == {"test.en.jsonl": 3}
    assert record["found"]["test.en.jsonl"].keys() == {THE_RUN, "lead-1", "TextRank", "oracle"}


def test_what_cannot_be_judged_is_named(
    trained: RunDirectory, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xformer.evaluation.summarization.rouge._scorer", lambda: None)
    out = tmp_path / "summaries.json"
    with pytest.raises(InputError, match="synopsis"):
        SummariesBench((rows,), trained.path, summary_field="synopsis", out=out).run_command()
    with pytest.raises(InputError, match="expected a name that ends in"):
        SummariesBench((rows.rename(tmp_path / "test.txt"),), trained.path, out=out).run_command()
    assert not out.exists()
