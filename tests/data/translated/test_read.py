"""Covers `texts` and `direction`, too."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from xformer.data.translated import (
    Direction,
    RowNames,
    TranslatedTexts,
    direction_named,
    read_translated,
    split_groups,
)
from xformer.errors import InputError


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_aligned_files_of_three_languages_give_all_directions(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "a.en", ["one", "two", "", "four"]),
        write(tmp_path / "a.pt_BR", ["um", "dois", "três", ""]),
        write(tmp_path / "a.de", ["eins", " ", "drei", ""]),
    ]
    texts = read_translated(paths)
    assert (texts.n_groups, texts.left_out) == (3, 1)
    pairs = texts.pairs()
    found = [
        (str(pairs.directions[direction]), texts.texts[source], texts.texts[target])
        for source, target, direction in zip(pairs.source, pairs.target, pairs.direction, strict=True)
    ]
    assert found == [
        ("de-en", "eins", "one"),
        ("de-pt_BR", "eins", "um"),
        ("de-pt_BR", "drei", "três"),
        ("en-de", "one", "eins"),
        ("en-pt_BR", "one", "um"),
        ("en-pt_BR", "two", "dois"),
        ("pt_BR-de", "um", "eins"),
        ("pt_BR-de", "três", "drei"),
        ("pt_BR-en", "um", "one"),
        ("pt_BR-en", "dois", "two"),
    ]
    chosen = texts.pairs([Direction("pt-BR", "en"), Direction("en", "de")])
    assert chosen.counts.tolist() == [2, 1]
    assert chosen.first_of_each(1).counts.tolist() == [1, 1]


def test_rows_and_aligned_files_lie_side_by_side(tmp_path: Path) -> None:
    rows = tmp_path / "x.en-de.tsv.gz"
    rows.write_bytes(gzip.compress(b"a dog\tein Hund\n\tleer\n"))
    objects = [{"translation": {"en": "a cat", "de": "eine Katze"}}]
    nested = write(tmp_path / "y.en-de.jsonl", [json.dumps(one) for one in objects])
    numbered = read_translated([rows], RowNames("1", "2"))
    assert (numbered.texts, numbered.languages, numbered.left_out) == (["a dog", "ein Hund"], ["en", "de"], 1)
    named = read_translated([nested], RowNames("translation.en", "translation.de"))
    assert named.texts == ["a cat", "eine Katze"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.en": ["x"]}, "expected line-aligned files in two languages or more"),
        ({"a.en": ["x"], "a.de": ["y", "z"]}, "a.en ends before line 2, which others have"),
        ({"a.en": [""], "a.de": [""]}, "expected translated texts, found none"),
        (
            {"a.en.tsv": ["source\ttarget"]},
            "expected a name that says two languages, such as train.en-de.tsv",
        ),
        ({"a.txt": ["x"]}, "does not give the language"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, files: dict[str, list[str]], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        read_translated([write(tmp_path / name, lines) for name, lines in files.items()])


def test_directions_that_are_none_are_refused() -> None:
    assert str(direction_named("pt_br-zh_Hans")) == "pt_BR-zh_Hans"
    for name in ("en", "en-en", "en->de", "pt-BR-en"):
        with pytest.raises(InputError, match="direction"):
            direction_named(name)
    texts = TranslatedTexts(["a", "b"], ["en", "de"], [0, 0])
    with pytest.raises(InputError, match="direction en-fr: expected texts in both languages"):
        texts.pairs([Direction("en", "fr")])


def test_groups_are_held_out_whole() -> None:
    texts = TranslatedTexts()
    for group in range(50):
        for language in ("en", "de"):
            texts.add(f"{language} {group}", language, group)
    train, dev = split_groups(texts, 0.1, 3)
    assert dev.n_groups == 3
    assert set(train.groups) | set(dev.groups) == set(range(50))
    assert not set(train.groups) & set(dev.groups)
    with pytest.raises(InputError, match="expected two texts or more"):
        split_groups(texts.only({1}), 0.1, 3)
