"""`xformer tokenizer trim`: the texts that it takes, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from xformer.cli import main
from xformer.pretraining import pretrain
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.origin import Origin


@pytest.fixture(scope="module")
def plain(
    begin: Callable[[RunConfig], RunDirectory], config: RunConfig, listening: type[Progress]
) -> RunDirectory:
    run = begin(replace(config, model=replace(config.model, bigrams=0, pool_after_norm=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "plot_losses", lambda metrics, path: path)
        assert pretrain.pretrain(run.path, run.load_config(), listening())
    return run


def status(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["tokenizer", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_trim_to_a_language_of_the_run_s_corpus(
    plain: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("trim", plain.path, "--languages", "German", "en", "--out", tmp_path / "new") == 0
    shown = capsys.readouterr().out
    assert "320 → " in shown
    assert "all with the same pieces; outputs differ by" in shown
    assert "top-1 retrieval on the test split: " in shown
    origin = Origin.load(RunDirectory(tmp_path / "new"))
    assert origin is not None
    assert origin.languages == ("de", "en")
    assert not any(".partial" in name for name in origin.texts)


def test_trim_to_lines_as_json(
    plain: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("dog sees house\n" * 20, encoding="utf-8")
    assert status("trim", plain.path, lines, "--out", tmp_path / "new", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kept_texts"] == 20
    assert found["unseen"]["texts"] == found["unseen"]["same"] == 2
    assert found["pieces"][1] < found["pieces"][0]
    assert found["top1"] is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{corpus}", "{lines}"], "expected one corpus, or files"),
        (["{lines}", "--languages", "de"], "--languages: lines of files have no language"),
        (["--languages", "fr"], "has no 'fr'; it has de, el, en"),
        (["missing.txt"], "missing.txt"),
        (["-"], "read more than once; got a pipe"),
    ],
)
def test_what_cannot_be_used_is_named(
    plain: RunDirectory,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("dog\n", encoding="utf-8")
    given = [one.format(corpus=corpus, lines=lines) for one in arguments]
    assert status("trim", plain.path, *given, "--out", tmp_path / "new") == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_extend_for_lines(plain: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("вода дома\nстол окно\nгора река\n" * 40, encoding="utf-8")
    assert status("extend", plain.path, lines, "--pieces", 5, "--out", tmp_path / "new") == 0
    shown = capsys.readouterr().out
    assert "pieces; " in shown
    assert "unseen new texts: " in shown
    assert "earlier texts: " in shown
    assert f"xformer pretrain {tmp_path / 'new'} --steps N" in shown


def test_extend_for_a_language_of_the_corpus_as_json(
    plain: RunDirectory, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("extend", plain.path, "--languages", "Greek", "--out", tmp_path / "new", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["languages"] == ["el"]
    assert found["unseen"]["tokens"] < found["unseen"]["tokens_before"]
    assert found["top1"] is not None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "its languages are those that the run was trained on; name the ones to extend for"),
        (["--pieces", "0"], "--pieces: expected at least 1, got 0"),
    ],
)
def test_what_cannot_be_extended_is_named(
    plain: RunDirectory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    assert status("extend", plain.path, *arguments, "--out", tmp_path / "new") == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
