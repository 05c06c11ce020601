"""`xformer inspect heads` and `languages`, on a run and asked wrongly.

Covers `heads`, `languages`, `texts` and `command`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xformer.inspect.analysis.patterns import SCORES
from xformer.runs.directory import RunDirectory

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(trained: RunDirectory) -> Path:
    return trained.path


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the PNG files, which take longer than all else."""
    monkeypatch.setattr("xformer.inspect.report_files.png", lambda figure: None)


@pytest.mark.slow
def test_heads_of_a_run(xformer: Run, run: Path, tmp_path: Path) -> None:
    status, out, err = xformer("inspect", "heads", run, "--texts", 5, "--out", tmp_path / "heads")
    assert status == 0, err
    head, *rows = out.splitlines()
    assert head.split()[: 2 + len(SCORES)] == ["layer", "head", *SCORES]
    assert [row.split()[:2] for row in rows[:-1]] == [[str(x), str(y)] for x in range(2) for y in range(4)]
    assert "heads.html: written" in err
    lines = (tmp_path / "heads" / "heads.jsonl").read_text("utf-8").splitlines()
    status, out, _ = xformer(
        "inspect", "heads", run, "--texts", 5, "--json", "--languages", "de", "--languages", "English"
    )
    assert status == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == len(lines) == 8
    assert set(found[0]["languages"]) == {"de", "en"}
    assert set(json.loads(lines[0])["languages"]) == {"de", "el", "en"}


@pytest.mark.slow
def test_heads_on_texts_of_a_file(xformer: Run, run: Path, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("dog sees house\n\nHund sieht Haus\n", encoding="utf-8")
    status, out, err = xformer("inspect", "heads", run, "--text", tmp_path / "lines.txt")
    assert status == 0, err
    assert "spread" not in out
    assert "2 texts" in err


@pytest.mark.slow
def test_languages_of_a_run(xformer: Run, run: Path, tmp_path: Path) -> None:
    status, out, err = xformer("inspect", "languages", run, "--split", "train", "--out", tmp_path / "new")
    assert status == 0, err
    assert out.split()[:2] == ["layer", "CKA"]
    assert "languages.svg: written" in err
    given = ("--split", "train", "--json", "--languages", "de", "en")
    status, out, _ = xformer("inspect", "languages", run, *given)
    assert status == 0
    assert json.loads(out)["languages"] == ["de", "en"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--texts", "0"), "--texts: expected a number from 1, got 0"),
        (("--seed", "99999999999999999999"), "--seed: expected a number from 0 to 9223372036854775807"),
        (("--languages", "fr"), "has no 'fr' in its dev split; it has de, el, en"),
        (("--text", "nowhere.txt"), "nowhere.txt"),
        (("--text", "a", "--corpus", "b"), "--text: expected files alone"),
        (("--corpus", "nowhere"), "nowhere"),
        (("--threads", "0"), "--threads"),
    ],
)
def test_asked_wrongly(xformer: Run, run: Path, given: tuple[str, ...], said: str) -> None:
    status, out, err = xformer("inspect", "heads", run, *given)
    assert (status, out) == (2, "")
    assert said in err


def test_a_model_without_a_corpus_needs_texts(xformer: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    status, _, err = xformer("inspect", "heads", tmp_path)
    assert status == 2
    assert "--corpus FOLDER" in err


def test_what_is_no_model_is_said(xformer: Run, tmp_path: Path) -> None:
    status, _, err = xformer("inspect", "languages", tmp_path / "nothing")
    assert status == 2
    assert "nothing" in err
    assert xformer("inspect", "header")[0] == 2
