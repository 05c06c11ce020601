"""The tables of an evaluation, in a terminal and in Markdown."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tests.evaluation.example_report import example_report, retrieval_of
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.table import markdown_table, terminal_table


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return example_report()


def rendered(report: EvaluationReport, width: int = 80) -> list[str]:
    console = Console(width=width, file=StringIO())
    console.print(terminal_table(report))
    return str(console.file.getvalue()).split("\n")  # type: ignore[attr-defined]


def test_the_table_is_readable_in_eighty_columns(report: EvaluationReport) -> None:
    lines = rendered(report)
    assert max(map(len, lines)) <= 80
    names = [line.split()[0] for line in lines if line[:1] == "l" and line[1:3].isdigit()]
    languages = retrieval_of(report).languages
    assert names == sorted(languages, key=lambda tag: -languages[tag].top1)
    scores = languages["l05"]
    row = next(line for line in lines if line.startswith("l05"))
    wanted = [
        f"{value:.3f}" for value in (scores.top1, scores.bag_top1, scores.untrained_top1, 1.5, 2.5, 4.5)
    ]
    assert row.split() == ["l05", "1,005", *wanted]
    pivot = next(line for line in lines if line.startswith("en "))
    assert pivot.split() == ["en", "English", "–", "–", "–", "–", "1.500", "2.500", "4.500"]
    mean = next(line for line in lines if line.startswith("mean of 60"))
    assert mean.split()[4:] == [
        f"{retrieval_of(report).mean_top1:.3f}", f"{retrieval_of(report).bag_mean_top1:.3f}", "0.200",
        "1.510", "2.510", "4.510",
    ]  # fmt: skip


def test_long_names_are_cut_in_eighty_columns_and_scores_never(report: EvaluationReport) -> None:
    found = retrieval_of(report)
    renamed = {"zh-Hant": found.languages["l05"], "de": found.languages["l06"]}
    bits = dict.fromkeys((*renamed, "en"), 1.5)
    mlm = replace(report.mlm, bits_per_byte=bits, unigram_bits_per_byte=bits, untrained_bits_per_byte=bits)
    lines = rendered(replace(report, retrieval=replace(found, languages=renamed, left_out={}), mlm=mlm))
    assert max(map(len, lines)) <= 80
    for name, scores in (("zh-Hant Chinese (Tr…", renamed["zh-Hant"]), ("de German", renamed["de"])):
        row = next(line for line in lines if line.startswith(name))
        wanted = [f"{value:.3f}" for value in (scores.top1, scores.bag_top1, scores.untrained_top1)]
        assert row.split()[-6:] == [*wanted, "1.500", "1.500", "1.500"]
    names = next(line for line in lines if "messages" in line and "bag" in line)
    assert names.split()[-3:] == ["model", "unigram", "untrained"]


def test_the_summary_says_who_won(report: EvaluationReport) -> None:
    text = " ".join(" ".join(rendered(report)).split())
    assert (
        "Top-1 of the model minus that of the bag: +0.040; the model is better in 45 of 60 languages." in text
    )
    left_out = "eo (Esperanto): 99, tlh (Klingon): 3; --min-messages 99 takes in more."
    assert f"Left out, with fewer than 100 messages: {left_out}" in text
    worse = replace(report, retrieval=replace(retrieval_of(report), mean_top1=0.1, left_out={}))
    text = " ".join(" ".join(rendered(worse)).split())
    assert "minus that of the bag: -0." in text
    assert "Left out" not in text


def test_one_language_is_one() -> None:
    report = example_report(1)
    summary = " ".join(" ".join(rendered(report)).split())
    assert "mean top-1 over 1 language, both ways" in summary
    assert "better in 0 of 1 language." in summary
    assert "1 languages" not in summary


def test_markdown_is_one_table(report: EvaluationReport) -> None:
    lines = markdown_table(report).split("\n")
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {9}
    assert len(table) == 2 + 1 + 60 + 1
    # What beats both of its baselines is stressed, and nothing else.
    scores = retrieval_of(report).languages
    for line in table[3:-1]:
        cells = [cell.strip() for cell in line.split("|")]
        one = scores[cells[1]]
        assert cells[3].startswith("**") == (one.top1 > (one.bag_top1 or 0))
        assert cells[6] == "**1.500**"
