"""The table of a model inside and outside what it was trained on."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from tests.evaluation.example_report import example_report
from tests.evaluation.outside.example_outside import outside_report
from xformer.evaluation.outside.report import OutsideReport
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.side_by_side import side_by_side


def rows(inside: EvaluationReport, outside: OutsideReport) -> list[list[str]]:
    """Cells of the table, without the heading."""
    output = StringIO()
    table = side_by_side(inside, outside)
    Console(file=output, width=160).print(table)
    return [[column._cells[row] for column in table.columns] for row in range(table.row_count)]  # type: ignore[misc]


def test_each_score_stands_in_its_column() -> None:
    inside, outside = example_report(), outside_report()
    assert inside.retrieval is not None
    found = {row[0].strip(): row[1:] for row in rows(inside, outside)[:5]}
    assert found["model"] == [
        f"{inside.retrieval.mean_top1:.3f}",
        "0.400 (0.300–0.500)",
        "0.200 (0.100–0.300)",
    ]
    assert found["untrained model"] == ["0.200", "–", "–"]
    assert found["character trigrams"] == ["–", "–", "–"]
    bits = {row[0].strip(): row[1:] for row in rows(inside, outside)[6:]}
    assert bits["model"] == ["1.510", "1.900", "–"]
    assert bits["unigram by language"] == ["2.510", "–", "–"]


def test_without_translations_bits_are_left() -> None:
    inside = replace(example_report(), retrieval=None)
    outside = replace(outside_report(), pairs=[], means=[], bits=None)
    assert [row[0].strip() for row in rows(inside, outside)] == [
        "bits per byte",
        "model",
        "unigram by language",
        "untrained model",
    ]
