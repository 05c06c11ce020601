"""`xformer tag`, and pairs in `xformer classify`. Covers `word_input` and `pair_input`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import xformer as package
from xformer.cli.pair_input import PairInput
from xformer.cli.word_input import WordInput
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory

Run = Callable[..., tuple[int, str, str]]
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\ufeff\t"), max_size=9)


@given(lines=st.lists(LINE, min_size=1, max_size=8))
def test_every_line_of_columns_comes_back(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("columns") / "a.conll"
    rows = [f"{line}\tX" if line.strip() else line for line in lines]
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8", newline="\n")
    found: list[str] = []
    for one in WordInput.of((path,)):
        words = iter(one.words)
        found += [f"{next(words)}\tX" if line is None else line for line in one.lines]
        assert next(words, None) is None
    assert found == rows


@given(lines=st.lists(LINE, max_size=8))
def test_every_line_of_text_is_a_sentence(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    words = WordInput.of((path,))
    assert [one.words for one in words] == [line.split() for line in lines]
    assert words.count() == len(lines)


def test_words_of_files_are_tagged(xformer: Run, tagged: Path, tmp_path: Path) -> None:
    columns, lines, rows = (tmp_path / name for name in ("a.conllu", "a.txt", "a.jsonl"))
    columns.write_text("# a comment\n1\tdog\n2\tHaus\n\n\n1\tsieht\n", encoding="utf-8")
    lines.write_text("dog Haus\n\nsieht\n", encoding="utf-8")
    rows.write_text('{"w": ["dog", "Haus"]}\n{"w": []}\n{"w": ["sieht"]}\n', encoding="utf-8")
    found = package.load(tagged).tag(["dog Haus", "", "sieht"])
    (a, b), _, (c,) = (one.tags for one in found)
    status, shown, said = xformer("tag", tagged, columns, "--tokens-field", "2")
    assert status == 0, said
    assert shown == f"# a comment\ndog\t{a}\nHaus\t{b}\n\n\nsieht\t{c}\n"
    expected = f"dog\t{a}\nHaus\t{b}\n\n\nsieht\t{c}\n\n"
    assert xformer("tag", tagged, lines)[1] == expected
    assert xformer("tag", tagged, rows, "--tokens-field", "w", "--line-buffered")[1] == expected
    objects = [json.loads(line) for line in xformer("tag", tagged, lines, "--json")[1].splitlines()]
    assert [one["words"] for one in objects] == [["dog", "Haus"], [], ["sieht"]]
    assert [one["tags"] for one in objects] == [[a, b], [], [c]]


@pytest.mark.parametrize(
    ("name", "content", "options", "expected"),
    [
        ("a.conll", "a\tX\nb\n", ["--tokens-field", "2"], "a.conll:2: no column 2; there are 1: 'b'"),
        (
            "a.conll",
            "a\tX\n",
            ["--tokens-field", "w"],
            "--tokens-field: columns have numbers, from 1",
        ),
        (
            "a.jsonl",
            '{"tokens": "a b"}\n',
            [],
            "a.jsonl:1: field 'tokens': expected a list of words",
        ),
        ("a.jsonl", '{"tokens": [1]}\n', [], "expected a list of words, got 1 in it"),
    ],
)
def test_what_cannot_be_read_is_said(
    name: str, content: str, options: list[str], expected: str, xformer: Run, tagged: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    status, shown, said = xformer("tag", tagged, tmp_path / name, *options)
    assert (status, shown, expected in said) == (2, "", True), said


def test_pairs_of_rows_and_of_lines(
    xformer: Run, paired: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "a.tsv"
    rows.write_text("x\ty\ndog sees house\tHund sieht Haus\n\tKatze\n", encoding="utf-8")
    pairs = [("dog sees house", "Hund sieht Haus"), ("", "Katze")]
    expected = package.load(paired).classify(pairs)
    status, shown, said = xformer("classify", paired, rows, "--field", "x", "--field-pair", "y")
    assert status == 0, said
    lines = [
        f"{of.label}\t{of.probability:.3f}\t{a}\t{b}" for of, (a, b) in zip(expected, pairs, strict=True)
    ]
    assert shown.splitlines() == lines
    typed = io.TextIOWrapper(io.BytesIO("".join(f"{a}\t{b}\n" for a, b in pairs).encode()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", typed)
    status, shown, said = xformer("classify", paired, "--json")
    assert status == 0, said
    found = [json.loads(line) for line in shown.splitlines()]
    assert [(one["text"], one["text_pair"]) for one in found] == pairs
    assert [one["labels"] for one in found] == [list(one.labels) for one in expected]


def test_runs_of_another_kind_say_so(
    xformer: Run, paired: Path, tagged: Path, trained: RunDirectory, finetuned: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\n", encoding="utf-8")
    for command, run, expected in (
        ("classify", tagged, "this run gives each word a label, not each text"),
        ("tag", paired, "this run gives each pair of texts a label, not each word"),
        ("tag", trained.path, "this run has no labels; `xformer finetune tag"),
        ("classify", paired, "a.txt:1: expected two texts with a tab between, got 0 tabs: 'a'"),
    ):
        status, shown, said = xformer(command, run, path)
        assert (status, shown, expected in said) == (2, "", True), said
    rows = tmp_path / "a.tsv"
    rows.write_text("text\tother\na\tb\n", encoding="utf-8")
    status, _, said = xformer("classify", finetuned, rows, "--field-pair", "other")
    assert (status, "pairs need a run of `xformer finetune pair`" in said) == (2, True), said
    with pytest.raises(InputError, match="expected two different fields, got 'text_pair'"):
        PairInput.of((rows,), "text_pair")


def test_what_such_runs_are_not_for_is_said(xformer: Run, paired: Path, tagged: Path, tmp_path: Path) -> None:
    for run, use in ((paired, "classify"), (tagged, "tag")):
        status, _, said = xformer("export", "hf", run, tmp_path / "new")
        expected = "a label; what is exported of fine-tuned runs is their labels of texts"
        assert (status, expected in said) == (2, True), said
        assert not (tmp_path / "new").exists()
        with pytest.raises(InputError, match=f"this run was fine-tuned from one. `xformer {use} "):
            RunDirectory(run).load_config()
