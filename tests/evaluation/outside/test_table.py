"""The table and the sentences of an evaluation on outside text, in a terminal and in Markdown."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from tests.evaluation.outside.example_outside import outside_report
from xformer.evaluation.outside.table import outside_markdown, outside_summary, outside_table, outside_tables
from xformer.evaluation.table import below_unigram


def test_the_summary_says_what_was_found() -> None:
    lines = outside_summary(outside_report())
    assert lines[0].startswith(
        "tatoeba, 3 languages, both ways with en (English), mean top-1: model 0.333 (0.233…0.433), bag"
    )
    assert "Model minus bag: +0.100 (-0.050…+0.200)." in lines[0]
    assert "0.200, 0.333*, 0.100" in lines[1]
    assert any("2 languages seen in training" in line for line in lines)
    assert any("1 language not seen in training" in line for line in lines)
    assert any("of a language over its sentences, of a mean over its languages" in line for line in lines)
    assert (
        "Bits per byte below a unigram model that is told the language: in 2 of 3 languages (67%)"
        in " ".join(lines)
    )
    assert any("20 stand in the training corpus, and 30 more have a near duplicate" in line for line in lines)
    assert lines[-1] == "No language is known by qqq."


def test_the_table_is_readable_in_eighty_columns() -> None:
    console = Console(width=80, record=True)
    console.print(outside_table(outside_report()))
    shown = [line.rstrip() for line in console.export_text().splitlines()]
    table = shown[: shown.index("", 4)]
    assert max(map(len, table)) <= 80
    assert "tatoeba, with en (English)" in table[2]
    rows = [line.split() for line in table[5:]]
    assert [row[:3] for row in rows[:3]] == [["mean", "of", "3"], ["mean", "of", "2"], ["mean", "of", "1"]]
    assert rows[3] == ["de", "German", "1,000", "0.500", "0.40…0.60", "0.400", "2.000", "2.500"]
    assert rows[5][0] == "○"
    assert rows[6] == ["en", "English", *["–"] * 4, "1.000", "2.500"]


def test_markdown_has_the_same_rows() -> None:
    table = [line for line in outside_markdown(outside_report()).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert len(table) == 2 + 3 + 3 + 1
    assert "| **mean of 2 seen** |" in table[3]


def test_without_translations_it_is_a_table_of_bits() -> None:
    (table,) = outside_tables(replace(outside_report(), pairs=[], means=[]))
    assert table.headers == ("language", "bits/byte", "unigram")
    assert [row[0] for row in table.rows] == ["de German", "en English", "ja Japanese", "○ xho Xhosa"]
    assert table.rows[3][1:] == ("2.000", "–")


def test_in_how_many_languages_a_unigram_model_is_beaten() -> None:
    assert below_unigram(["a"], ["c", "b"]).endswith("in 1 of 3 languages (33%); not in b, c.")
    assert below_unigram(["a"], []).endswith("in 1 of 1 language (100%).")
