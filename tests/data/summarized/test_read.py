"""Covers `texts`, too."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from xformer.data.summarized import SummarizedTexts, SummaryNames, read_summarized
from xformer.data.translated import Direction, direction_named, split_groups
from xformer.errors import InputError

NAMES = SummaryNames("description", "synopsis", "id")


def write(path: Path, rows: Sequence[tuple[object, str, str | None]]) -> Path:
    lines = [
        json.dumps({"id": number, "description": text, "synopsis": summary}) + "\n"
        for number, text, summary in rows
    ]
    data = "".join(lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def said(texts: SummarizedTexts, *directions: Direction) -> list[tuple[str, str, str]]:
    pairs = texts.pairs(directions or None)
    return [
        (texts.texts[source], texts.texts[target], str(pairs.directions[number]))
        for source, target, number in zip(pairs.source, pairs.target, pairs.direction, strict=True)
    ]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    german = write(
        tmp_path / "a.de.jsonl.gz", [(1, "Lang.", "kurz"), ("2", "Länger.", "knapp"), (3, "Nur.", "")]
    )
    english = write(
        tmp_path / "a.pt_BR.jsonl", [(2, "Longo.", "curto"), (4, "Mais.", "menos"), (5, "x", None)]
    )
    return [german, english]


def test_a_text_is_read_and_a_summary_written(files: list[Path]) -> None:
    texts = read_summarized(files, NAMES)
    own = [("Lang.", "kurz", "de-de"), ("Länger.", "knapp", "de-de")]
    assert said(texts) == [*own, ("Longo.", "curto", "pt_BR-pt_BR"), ("Mais.", "menos", "pt_BR-pt_BR")]
    across = direction_named("pt_BR-de", same=True)
    assert said(texts, across) == [("Longo.", "knapp", "pt_BR-de")]
    assert texts.left_out == 2


def test_roles_stay_where_groups_are_divided(files: list[Path]) -> None:
    texts = read_summarized(files, NAMES)
    first, second = split_groups(texts, 0.3, 5)
    assert sorted(said(first) + said(second)) == sorted(said(texts))


def test_rows_without_an_id_stand_for_themselves(files: list[Path]) -> None:
    texts = read_summarized(files, SummaryNames("description", "synopsis"))
    assert len(said(texts)) == 4
    with pytest.raises(InputError, match="direction de-pt_BR"):
        texts.pairs([Direction("de", "pt-BR")])


@pytest.mark.parametrize(
    ("name", "rows", "names", "expected"),
    [
        (
            "a.de.jsonl",
            [(1, "a", "b"), (None, "a", "b")],
            NAMES,
            r"a\.de\.jsonl:2: field 'id': .* it is empty",
        ),
        (
            "a.de.jsonl",
            [(1, "a", "b")],
            SummaryNames("text", "synopsis"),
            r":1: no field 'text'; there are 'id'",
        ),
        ("a.de.jsonl", [(1, "a", " ")], NAMES, "expected texts with summaries, found none"),
        ("a.de.jsonl", [(1, "a", "b")], SummaryNames("id", "id"), "expected two different fields, got 'id'"),
        ("train.jsonl", [(1, "a", "b")], NAMES, r"expected an end such as '\.de\.jsonl'"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, name: str, rows: list[tuple[object, str, str]], names: SummaryNames, expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        read_summarized([write(tmp_path / name, rows)], names)


def test_the_same_language_twice_is_no_translation() -> None:
    with pytest.raises(InputError, match="direction de-de: expected two different languages"):
        direction_named("de-de")
    assert direction_named("de-de", same=True) == Direction("de", "de")
