"""The part of a run's page that shows outside text beside inside."""

from __future__ import annotations

import re

from tests.evaluation.example_report import example_report
from tests.evaluation.outside.example_outside import outside_report
from xformer.report.inside_outside import inside_outside_table, outside_section


def rows(html: str) -> list[list[str]]:
    """The text of the cells, row by row."""
    return [
        [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", html, re.DOTALL)
    ]


def test_inside_and_outside_stand_in_one_table() -> None:
    inside = example_report()
    _, first, *others = rows(inside_outside_table(inside, [outside_report()]))
    assert inside.retrieval is not None
    assert first[0].startswith("inside: test, with en")
    assert first[2] == f"{inside.retrieval.mean_top1:.3f}"
    assert first[-1] == f"{len(inside.mlm.below_unigram)} of {len(inside.mlm.bits_per_byte)} languages"
    assert [row[:4] for row in others] == [
        ["outside: tatoeba, with en (English)", "3 languages", "0.333", "0.233…0.433"],
        ["outside: tatoeba, with en (English)", "2 languages seen in training", "0.400", "0.300…0.500"],
        ["outside: tatoeba, with en (English)", "1 language not seen", "0.200", "0.100…0.300"],
    ]
    assert others[0][-2:] == ["1.900", "2 of 3 languages"]


def test_without_outside_text_there_is_no_section() -> None:
    assert outside_section(example_report(), []).content == ""
    section = outside_section(None, [outside_report()])
    assert "inside" not in rows(section.content)[1][0]
    assert section.content.count("<figure") == 3
