"""`xformer index`, `search` and `mine`, against the same calls in Python.

Covers `xformer.cli.index`, `search` and `mine`.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import xformer as package
from xformer.runs.directory import RunDirectory

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str, str]]

DE = ["Hund sieht Haus", "Katze", "", "Haus", "Katze"]
EN = ["house", "dog sees house", "cat", "bread"]


@pytest.fixture(scope="module")
def run(trained: RunDirectory) -> Path:
    return trained.path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {}
    for language, lines in (("de", DE), ("en", EN)):
        paths[language] = tmp_path / f"a.{language}"
        paths[language].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return paths


def test_search_gives_source_and_line(
    xformer: Run, run: Path, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "i"
    status, _, err = xformer("index", files["de"], "--run", run, "-o", out)
    assert status == 0
    assert f"{out}: 5 texts; next: xformer search" in err
    assert xformer("index", files["en"], "-o", out, "--add")[0] == 0
    expected = package.Index(out).search(["dog", ""], k=9)

    status, shown, _ = xformer("search", out, "dog", "", "--top", 9, "--json")
    answers = [json.loads(line) for line in shown.splitlines()]
    assert status == 0
    assert [answer["text"] for answer in answers] == ["dog", ""]
    for answer, matches in zip(answers, expected, strict=True):
        assert [match["row"] for match in answer["matches"]] == [match.row for match in matches]
        assert {"score", "text", "source", "line", "row"} == answer["matches"][0].keys()
    places = {(match["source"], match["line"]): match["text"] for match in answers[0]["matches"]}
    assert places[str(files["en"]), 2] == EN[1]
    assert places[str(files["de"]), 4] == DE[3]

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"dog\n\n")))
    status, lines, _ = xformer("search", out, "--lines", "--top", 9, "--json")
    assert [json.loads(line)["matches"] for line in lines.splitlines()] == [a["matches"] for a in answers]
    status, text, _ = xformer("search", out, "dog", "--top", 1)
    assert text.startswith("dog\n  ")
    assert f"{expected[0][0].source}:{expected[0][0].line}" in text


def test_a_corpus_is_indexed_by_split(
    xformer: Run, run: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "i"
    moses = {language: path.with_name(f"m.{language}") for language, path in files.items()}
    for language, path in moses.items():
        words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        path.write_text("".join(f"{language} {word * 5}\n" for word in words), encoding="utf-8")
    assert xformer(
        "data", "import", "moses", *moses.values(),
        "--out", corpus, "--licence", "CC0-1.0", "--dev", 2, "--test", 2,
    )[0] == 0  # fmt: skip
    assert xformer("index", corpus, "--run", run, "-o", out)[0] == 0
    index = package.Index(out)
    assert len(index) == 18
    found = {(match.source, match.line) for match in index.search("text", k=18)}
    assert len(found) == 18
    assert {source for source, _ in found} == {
        str(corpus / f"{split}.jsonl.gz") for split in ("train", "dev", "test")
    }


def test_mined_files_are_a_corpus(xformer: Run, run: Path, files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "mined"
    gold, sample = tmp_path / "gold.tsv", tmp_path / "sample.tsv"
    gold.write_text("1\t2\n2\t3\n4\t1\n", encoding="utf-8")
    sample.write_text("1\t2\n", encoding="utf-8")
    given = ("mine", files["de"], files["en"], "--run", run, "-o", out, "-k", 2)
    status, shown, err = xformer(*given, "--gold", gold, "--json")
    assert status == 0, err
    summary = json.loads(shown)
    assert (summary["lines"], summary["texts"], summary["pairs"]) == ([5, 4], [3, 4], 3)
    assert summary["scores"]["true"] == 3
    de, en, scores = (
        (tmp_path / f"mined.{end}").read_text(encoding="utf-8").splitlines() for end in ("de", "en", "scores")
    )
    margins = []
    for left, right, line in zip(de, en, scores, strict=True):
        margin, _, a, b = line.split("\t")
        margins.append(float(margin))
        assert (DE[int(a) - 1], EN[int(b) - 1]) == (left, right)
    assert margins == sorted(margins, reverse=True)
    assert len(set(de)) == len(set(en)) == 3

    status, shown, _ = xformer(*given, "--gold", gold, "--labelled", sample, "--json")
    judged = json.loads(shown)
    assert (status, judged["sample"]["lines"], judged["scores"]["true"]) == (0, 1, 2)
    assert judged["pairs"] == sum(margin >= judged["threshold"] - 1e-6 for margin in margins)


def test_what_is_mined_can_be_imported(
    xformer: Run, run: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "mined"
    assert xformer("mine", files["de"], files["en"], "--run", run, "-o", out)[0] == 0
    status, _, err = xformer(
        "data", "import", "moses", f"{out}.de", f"{out}.en",
        "--out", corpus, "--licence", "CC0-1.0", "--dev", 1, "--test", 1,
    )  # fmt: skip
    assert status == 0, err
    assert xformer("index", corpus, "--run", run, "-o", tmp_path / "i")[0] == 0
    indexed = {match.text for match in package.Index(tmp_path / "i").search("", k=9)}
    assert indexed <= {*DE, *EN}
    assert len(indexed) >= 4


def test_refused_before_work(xformer: Run, run: Path, files: dict[str, Path], tmp_path: Path) -> None:
    de, en = files["de"], files["en"]
    plain = tmp_path / "plain.txt"
    plain.write_text("x\n", encoding="utf-8")
    bad = tmp_path / "bad.tsv"
    bad.write_text("1\t9\n", encoding="utf-8")
    empty = tmp_path / "empty.fr"
    empty.write_text("\n\n", encoding="utf-8")
    mine = ("mine", "--run", run, "-o", tmp_path / "out")
    for arguments, expected in [
        (("index", de, "-o", tmp_path / "i"), "--run: expected the run"),
        (("index", de, de, "--run", run, "-o", tmp_path / "i"), "each file once"),
        (("index", "--run", run, "-o", tmp_path / "i"), "expected files or corpora"),
        (("index", empty.with_name("no"), "--run", run, "-o", tmp_path / "i"), "no such file"),
        (("index", de, "-o", tmp_path / "i", "--add"), "expected an index"),
        (("search", tmp_path, "x"), "expected an index"),
        (("search", tmp_path), "expected a text to search for"),
        (("search", tmp_path, "x", "--top", 0), "--top: expected"),
        ((*mine, plain, en), "does not give the language"),
        ((*mine, de, de), "expected two languages"),
        ((*mine, de, en, "--gold", bad), f"{bad}:1: expected a number from 1 to 4 of a line of {en}"),
        ((*mine, de, en, "--labelled", bad, "--threshold", 1), "expected one of the two"),
        ((*mine, de, empty), f"{empty}: expected lines with text"),
        ((*mine, de, en, "-k", 0), "--k: expected"),
        (("mine", de, en, "--run", run, "-o", tmp_path / "a"), "would replace"),
        ((*mine, de, en, "--ids"), f"{de}:1: expected `id"),
    ]:
        status, _, err = xformer(*arguments)
        assert (status, expected in err) == (2, True), (arguments, err)
    assert not list(tmp_path.glob("out*"))
    assert not (tmp_path / "i").exists()
