"""The report: its JSON, its tables, its picture."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from xformer.errors import InputError
from xformer.evaluation.bag import BagRecord
from xformer.evaluation.picture import plot_retrieval
from xformer.evaluation.report import EvaluationReport, LanguageScores, MaskedLMScores, RetrievalScores
from xformer.evaluation.table import markdown_table, terminal_table
from xformer.plotting.shapes import COLOURS


def example(n_languages: int = 60) -> EvaluationReport:
    """Sixty languages; the model beats the bag in all but every fourth."""
    rng = np.random.default_rng(0)
    tags = [f"l{number:02d}" for number in range(n_languages)]

    def scores(number: int) -> LanguageScores:
        bag = float(rng.uniform(0.5, 0.8))
        top1 = bag + (-0.05 if number % 4 == 0 else 0.07)
        return LanguageScores(
            messages=1000 + number,
            top1=top1,
            to_pivot_top1=top1 - 0.01,
            from_pivot_top1=top1 + 0.01,
            mrr=top1 + 0.05,
            to_pivot_mrr=top1 + 0.04,
            from_pivot_mrr=top1 + 0.06,
            bag_top1=bag,
            bag_mrr=bag + 0.05,
            untrained_top1=0.2,
            untrained_mrr=0.25,
        )

    languages = {tag: scores(number) for number, tag in enumerate(tags)}
    retrieval = RetrievalScores(
        pivot="en",
        candidates=1234,
        min_messages=100,
        layer=1,
        dev_top1_by_layer=[0.5, 0.75, 0.7],
        mean_top1=float(np.mean([one.top1 for one in languages.values()])),
        bag_mean_top1=float(np.mean([one.bag_top1 for one in languages.values()])),
        untrained_mean_top1=0.2,
        mean_mrr=0.8,
        bag_mean_mrr=0.7,
        untrained_mean_mrr=0.25,
        languages=languages,
        left_out={"tlh": 3, "eo": 99},
    )
    everyone = [*tags, "en", "eo"]
    mlm = MaskedLMScores(
        rate=0.15,
        hidden_tokens=dict.fromkeys(everyone, 900),
        bits_per_byte=dict.fromkeys(everyone, 1.5),
        unigram_bits_per_byte=dict.fromkeys(everyone, 2.5),
        blind_unigram_bits_per_byte=dict.fromkeys(everyone, 3.1),
        untrained_bits_per_byte=dict.fromkeys(everyone, 4.5),
        mean_bits_per_byte=1.51,
        unigram_mean_bits_per_byte=2.51,
        blind_unigram_mean_bits_per_byte=3.12,
        untrained_mean_bits_per_byte=4.51,
        overall_bits_per_byte=1.49,
        unigram_overall_bits_per_byte=2.49,
        blind_unigram_overall_bits_per_byte=3.13,
        untrained_overall_bits_per_byte=4.49,
    )
    return EvaluationReport(
        split="test",
        split_sha256="0" * 64,
        step=4321,
        texts=20_000,
        messages=1234,
        seed=0,
        retrieval=retrieval,
        mlm=mlm,
        bag=BagRecord(steps=4000, pairs=512.5, seconds=100.0, waited=1.0, loss=2.6),
        seconds={"retrieval": 12.0},
    )


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return example()


def test_the_json_has_the_promised_names(report: EvaluationReport) -> None:
    data = json.loads(report.to_json())
    assert data["retrieval"]["mean_top1"] == report.retrieval.mean_top1
    assert data["retrieval"]["bag_mean_top1"] == report.retrieval.bag_mean_top1
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
        example(1).to_json().replace('"format": 2', '"format": 99'),
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


def rendered(report: EvaluationReport, width: int = 80) -> list[str]:
    console = Console(width=width, file=StringIO())
    console.print(terminal_table(report))
    return str(console.file.getvalue()).split("\n")  # type: ignore[attr-defined]


def test_the_table_is_readable_in_eighty_columns(report: EvaluationReport) -> None:
    lines = rendered(report)
    assert max(map(len, lines)) <= 80
    names = [line.split()[0] for line in lines if line.startswith("l")]
    best_first = sorted(report.retrieval.languages, key=lambda tag: -report.retrieval.languages[tag].top1)
    assert names == best_first
    scores = report.retrieval.languages["l05"]
    row = next(line for line in lines if line.startswith("l05"))
    wanted = [
        f"{value:.3f}" for value in (scores.top1, scores.bag_top1, scores.untrained_top1, 1.5, 2.5, 4.5)
    ]
    assert row.split() == ["l05", "1,005", *wanted]
    pivot = next(line for line in lines if line.startswith("en "))
    assert pivot.split() == ["en", "–", "–", "–", "–", "1.500", "2.500", "4.500"]
    mean = next(line for line in lines if line.startswith("mean of 60"))
    assert mean.split()[4:] == [
        f"{report.retrieval.mean_top1:.3f}", f"{report.retrieval.bag_mean_top1:.3f}", "0.200",
        "1.510", "2.510", "4.510",
    ]  # fmt: skip


def test_the_summary_says_who_won(report: EvaluationReport) -> None:
    text = " ".join(" ".join(rendered(report)).split())
    assert "The model is 0.040 above the bag of subwords, and better in 45 of 60 languages." in text
    assert "Left out, with fewer than 100 messages: eo (99), tlh (3)." in text
    worse = replace(report, retrieval=replace(report.retrieval, mean_top1=0.1, left_out={}))
    text = " ".join(" ".join(rendered(worse)).split())
    assert "below the bag of subwords" in text
    assert "Left out" not in text


def test_markdown_is_one_table(report: EvaluationReport) -> None:
    lines = markdown_table(report).split("\n")
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {9}
    assert len(table) == 2 + 1 + 60 + 1
    # What beats both of its baselines is stressed, and nothing else.
    scores = report.retrieval.languages
    for line in table[3:-1]:
        cells = [cell.strip() for cell in line.split("|")]
        assert cells[3].startswith("**") == (scores[cells[1]].top1 > scores[cells[1]].bag_top1)
        assert cells[6] == "**1.500**"


@pytest.mark.parametrize("n_languages", [1, 60])
def test_the_picture_is_drawn(n_languages: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    path = tmp_path / "retrieval.png"
    assert plot_retrieval(example(n_languages), path) == path
    image = imread(path)[..., :3]
    assert image.shape[0] > 100
    assert image.shape[1] > 500
    columns = -(-n_languages // 20)
    for series in ("s0", "s1"):
        color = np.array([int(COLOURS[series][0][place : place + 2], 16) for place in (1, 3, 5)]) / 255
        dots = 0
        for part in np.array_split(image, columns, axis=1):
            rows = (np.abs(part - color).max(axis=-1) < 0.02).any(axis=1)
            # A dot a language: runs of rows that hold the color.
            dots += int(np.count_nonzero(np.diff(rows.astype(int)) == 1))
        assert dots >= n_languages


def test_without_matplotlib_there_is_no_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert plot_retrieval(example(1), tmp_path / "retrieval.png") is None
    assert not list(tmp_path.iterdir())
