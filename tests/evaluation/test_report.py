"""The report and its JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.evaluation.example_report import example_report, retrieval_of
from xformer.errors import InputError
from xformer.evaluation.report import EvaluationReport


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return example_report()


def test_the_json_has_the_promised_names(report: EvaluationReport) -> None:
    data = json.loads(report.to_json())
    assert data["retrieval"]["mean_top1"] == retrieval_of(report).mean_top1
    assert data["retrieval"]["bag_mean_top1"] == retrieval_of(report).bag_mean_top1
    assert data["retrieval"]["untrained_mean_top1"] == 0.2
    one = data["retrieval"]["languages"]["l07"]
    wanted = {"top1", "to_pivot_top1", "from_pivot_top1", "mrr", "bag_top1", "untrained_top1", "messages"}
    assert wanted <= set(one)
    for name in ("bits_per_byte", "untrained_bits_per_byte", "unigram_bits_per_byte"):
        assert set(data["mlm"][name]) == {*data["retrieval"]["languages"], "en", "eo"}
        assert all(isinstance(value, float) for value in data["mlm"][name].values())


def test_it_can_be_read_back(report: EvaluationReport, tmp_path: Path) -> None:
    report.save(tmp_path / "evaluation.json")
    assert EvaluationReport.load(tmp_path / "evaluation.json") == report


def test_a_field_that_is_missing_or_wrong_is_named(report: EvaluationReport, tmp_path: Path) -> None:
    data = json.loads(report.to_json())
    del data["retrieval"]["pivot"]
    data["mlm"]["rate"] = "much"
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match="pivot") as found:
        EvaluationReport.load(path)
    assert "rate" in str(found.value)
    path.write_text('{"format": 1, "other": "fields"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"format 2, got format 1; `xformer evaluate` makes one"):
        EvaluationReport.load(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '{"split": "test"}',
        example_report(1).to_json().replace('"format": 2', '"format": 99'),
    ],
)
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"evaluation\.json: "):
        EvaluationReport.load(path)


def test_what_is_no_number_is_not_written(report: EvaluationReport) -> None:
    broken = replace(report, mlm=replace(report.mlm, mean_bits_per_byte=float("nan")))
    with pytest.raises(ValueError, match="not JSON compliant"):
        broken.to_json()


def test_trackers_get_means_and_languages_under_the_split() -> None:
    report = example_report(2)
    found, scores = report.tracked(), retrieval_of(report)
    assert found["test/top1"] == scores.mean_top1
    assert found["test/bag_top1"] == scores.bag_mean_top1
    assert found["test/bits_per_byte"] == 1.51
    assert found["test/unigram_bits_per_byte"] == 2.51
    assert found["test_top1/l01"] == scores.languages["l01"].top1
    assert found["test_bits_per_byte/en"] == 1.5
    alone = replace(report, retrieval=None, bag=None).tracked()
    assert not any("top1" in name for name in alone)
    assert alone["test/bits_per_byte"] == 1.51
