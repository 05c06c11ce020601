from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.labelled import LeftOut, WordFields, read_words
from xformer.errors import InputError

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r\ufeff"), max_size=8)
WORD = CELL.filter(lambda word: not word.startswith("#"))
TAG = st.sampled_from(["en", "de", "O", "B-PER"])
SENTENCES = st.lists(st.lists(st.tuples(WORD, TAG), min_size=1, max_size=5), min_size=1, max_size=5)


@given(sentences=SENTENCES, gap=st.integers(1, 3))
def test_columns_give_words_tags_and_lines_back(
    sentences: list[list[tuple[str, str]]], gap: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("words") / "a.de+en.conll"
    lines = [line for one in sentences for line in [*("\t".join(row) for row in one), *[""] * gap]]
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    found = read_words([path], WordFields())
    assert [list(zip(one.words, one.tags, strict=True)) for one in found] == sentences
    assert {one.language for one in found} == {"de+en"}
    for one in found:
        for number, word in enumerate(one.words):
            place = int(one.place_of(number).rpartition(":")[2])
            assert lines[place - 1].split("\t")[0] == word


@given(sentences=SENTENCES)
def test_lists_give_words_and_tags_back(
    sentences: list[list[tuple[str, str]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("words") / "a.de.jsonl"
    rows = [{"tokens": [w for w, _ in one], "tags": [t for _, t in one]} for one in sentences]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    found = read_words([path], WordFields())
    assert [list(zip(one.words, one.tags, strict=True)) for one in found] == sentences


def test_conll_2003_and_conll_u(tmp_path: Path) -> None:
    four = tmp_path / "train.en.txt"
    four.write_text("-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"txt:1: expected a word and its tag, got 4 columns; say which with"
    ):
        read_words([four], WordFields())
    found = read_words([four], WordFields("1", "4"))
    assert [one.tags for one in found] == [("O",), ("B-ORG", "O")]
    ten = tmp_path / "train.de.conllu"
    rows = ["1-2\tzum", "1\tzu", "2\tdem", "3\tHaus", "3.1\tgeht"]
    rest = "\t_\tNOUN" + "\t_" * 6
    lines = ["# sent_id = 1", "# text = zum Haus", *(f"{row}{rest}" for row in rows), ""]
    ten.write_text("\n".join(lines), encoding="utf-8")
    found = read_words([ten], WordFields("2", "4"))
    assert [(one.words, one.place) for one in found] == [(("zu", "dem", "Haus"), f"{ten}:4")]
    assert found[0].place_of(2) == f"{ten}:6"


def test_languages_of_rows_and_empty_sentences(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    rows = [
        {"w": ["ein", "cat"], "t": [1, 0], "l": "de+en"},
        {"w": [], "t": [], "l": "de"},
        {"w": ["", "\u200b"], "t": ["a", "b"], "l": "fr"},
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    left_out = LeftOut()
    found = read_words([path], WordFields("w", "t", "l"), left_out)
    assert [(one.language, one.tags) for one in found] == [("de+en", ("1", "0")), ("fr", ("a", "b"))]
    assert str(left_out) == "1 without words"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.en.conll", "word\n", r"conll:1: expected a word and its tag, got no column 2"),
        ("a.en.conll", "a\tX\nb\n", r"conll:2: expected 2 columns, as above, got 1: 'b'"),
        ("a.en.conll", "a\tX\nb\t \n", r"conll:2: expected a tag in column 2, it is empty"),
        ("a.en.conll", "\n\n", "expected sentences of words with tags, found none"),
        ("a.en.doc", "a\tX\n", r"expected a name that ends in \.conll"),
        ("words.conll", "a\tX\n", r"an end such as '\.de\.conll' or '\.de\+en\.conll'"),
        ("a.de+12.conll", "a\tX\n", r"a\.de\+12\.conll: "),
        (
            "a.en.jsonl",
            '{"tokens": ["a"], "tags": []}',
            "jsonl:1: expected as many tags as words, got 0 for 1",
        ),
        (
            "a.en.jsonl",
            '{"tokens": [3], "tags": ["x"]}',
            "field 'tokens': expected a list of words, got 3",
        ),
        (
            "a.en.jsonl",
            '{"tokens": ["a"], "tags": [null]}',
            "expected a tag of text or an integer for word 1",
        ),
        ("a.en.jsonl", '{"tokens": "a b", "tags": ["x"]}', "field 'tokens': expected a list, got 'a b'"),
        ("a.en.jsonl", '{"words": ["a"], "tags": ["x"]}', "no field 'tokens'; there are 'words', 'tags'"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=expected):
        read_words([tmp_path / name], WordFields())


def test_columns_have_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.en.conll"
    path.write_text("a\tX\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"conll:1: columns have numbers here, from 1; got 'tokens'"):
        read_words([path], WordFields("tokens"))
