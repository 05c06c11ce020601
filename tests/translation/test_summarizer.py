"""A run that writes summaries, in Python and on the command line; its scores.

Covers `evaluate_summaries`, xformer.api.summarize, xformer.api.written, xformer.cli.summarize,
xformer.cli.finetune.summarize, xformer.cli.finetune.writing and xformer.evaluation.summarization.report.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import xformer
from tests.translation.conftest import NUMBERS, TINY
from xformer.api import Model
from xformer.cli import main
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory
from xformer.translation import evaluate_summaries

CUT = 12
"""Tokens that are read of a text."""


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert isinstance(exit.value.code, int)
    return exit.value.code, captured.out, captured.err


def write_files(folder: Path, name: str, size: int, seed: int) -> dict[str, Path]:
    """Texts of two numbers, whose summary is the first one, in three languages."""
    rows = np.random.default_rng(seed).integers(6, size=(size, 2))
    found = {}
    for language, words in NUMBERS.items():
        found[language] = folder / f"{name}.{language}.jsonl"
        lines = [
            json.dumps({"id": i, "body": " ".join(words[j] for j in row) + ".", "title": words[row[0]]})
            for i, row in enumerate(rows)
        ]
        found[language].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The command that makes the run of this file; its last word is the run's folder."""
    folder = tmp_path_factory.mktemp("summaries")
    train, test = write_files(folder, "train", 300, 0), write_files(folder, "test", 20, 1)
    files = ("--train", train["en"], train["de"], "--test", *test.values())
    learned = ("--directions", "en-en", "de-de", "en-de", "--test-directions", "en-en", "fr-de")
    names = ("--text-field", "body", "--summary-field", "title")
    length = ("--vocabulary", 320, "--steps", 300, "--evaluate-steps", 150, "--beam", 2)
    settings = [one for one in TINY if not one.startswith("translation.max_tokens")]
    more = (f"translation.max_tokens={CUT}", "translation.max_target_tokens=8")
    options = (*files, *learned, *names, *length, "--set", *settings, *more)
    return ["finetune", "summarize", *options, "--out", folder / "run"]


@pytest.fixture(scope="module")
def run(arguments: list[object], module_said: dict[str, str]) -> Path:
    path = arguments[-1]
    assert isinstance(path, Path)
    return path


@pytest.fixture(scope="module")
def module_said(arguments: list[object]) -> dict[str, str]:
    """Makes the run; what the command printed without rouge-score."""
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    out, error = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(error):
        patch.setattr(evaluate_summaries, "has_rouge", lambda: False)
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
    assert exit.value.code == 0, error.getvalue()
    return {"out": out.getvalue(), "error": error.getvalue()}


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return xformer.load(run)


def test_it_learns_to_write(model: Model) -> None:
    texts = [f"{word} {other}." for word in NUMBERS["en"] for other in NUMBERS["en"][:3]]
    found = model.summarize(texts, to="en")
    right = [text.split()[0] == one.text for text, one in zip(texts, found, strict=True)]
    assert sum(right) > len(texts) / 2
    assert {one.sentences for one in found} == {()}
    german = [dict(zip(NUMBERS["en"], NUMBERS["de"], strict=True))[text.split()[0]] for text in texts]
    across = [one.text for one in model.summarize(texts, to="de", beam=1)]
    assert sum(a == b for a, b in zip(german, across, strict=True)) > len(texts) / 2


def test_texts_keep_their_order_and_long_ones_are_cut(model: Model) -> None:
    texts = ["one two.", "", "three " * 100, "three " * 200]
    found = model.summarize(texts, to="en")
    assert model.summarize(texts[0], to="en") == found[0]
    assert [bool(one.text) for one in found] == [True, False, True, True]
    assert found[2] == found[3]
    assert model.summarize(iter(texts[::-1]), to="en") == found[::-1]


def test_lines_give_lines(
    run: Path, model: Model, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "texts"
    path.write_text("one two.\n\nfour one.\n", encoding="utf-8")
    expected = model.summarize(["one two.", "", "four one."], to="de")
    status, out, said = command(capsys, "summarize", run, path, "--to", "de")
    assert (status, out) == (0, "".join(f"{one.text}\n" for one in expected)), said
    rows = command(capsys, "summarize", run, path, "--to", "de", "--json")[1].splitlines()
    assert json.loads(rows[0]) == {"text": expected[0].text, "sentences": []}


def test_each_option_belongs_to_one_kind_of_run(
    run: Path, model: Model, capsys: pytest.CaptureFixture[str], trained: RunDirectory, tmp_path: Path
) -> None:
    path = tmp_path / "texts"
    path.write_text("one two.\n", encoding="utf-8")
    for folder, options, expected in (
        (run, ("--to", "de", "--sentences", 2), "--sentences: "),
        (run, (), "--to: expected the language to write"),
        (run, ("--to", "fr"), "--to: "),
        (trained.path, ("--to", "de"), "--to: "),
        (trained.path, ("--beam", 2), "--beam: "),
    ):
        status, out, said = command(capsys, "summarize", folder, path, *options)
        assert (status, out) == (2, "")
        assert expected in said
    with pytest.raises(InputError, match="does not translate, it writes summaries; `xformer summarize"):
        model.translate("one", to="de")


def test_it_is_tested_beside_baselines(
    run: Path, module_said: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "only chrF is measured" in module_said["error"]
    for said in ("fr-de", "20 texts", "not learned"):
        assert said in module_said["out"]
    record = json.loads((run / "summarization.json").read_text(encoding="utf-8"))
    assert list(record["directions"]) == ["en-en", "fr-de"]
    sides = record["directions"]["en-en"]["sides"]
    assert list(sides) == ["the run", "lead-1", "TextRank"]
    assert sides["the run"]["chrf_above_lead"][1] > 0
    assert sides["the run"]["rouge"] == {}
    kept = (run / "summaries" / "en-en.jsonl").read_text(encoding="utf-8").splitlines()
    assert [set(json.loads(one)) for one in kept] == [{"text", "reference", "summary"}] * 20
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "xformer summarize" in card
    assert "chrF" in card
    status, _, said = command(capsys, "evaluate", run, "--alignment")
    assert (status, "--alignment" in said) == (2, True)


def test_it_is_scored_again_with_rouge(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rouge_score", reason="needs rouge-score: pip install 'xformer[summarize]'")
    status, out, said = command(capsys, "evaluate", run, "--json")
    assert status == 0, said
    sides = json.loads(out)["directions"]["en-en"]["sides"]
    assert set(sides["the run"]["rouge"]) == {"rouge1", "rouge2", "rougeL"}
    assert sides["oracle"]["above_lead"][0] >= 0
    assert "evaluated before" in command(capsys, "evaluate", run)[2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "expected --train FILES"),
        (
            ("--train", "a.de.jsonl", "--test-directions", "de-de"),
            "--test-directions: expected beside --test",
        ),
        (("--train", "missing.de.jsonl"), "missing.de.jsonl: no such file"),
        (("--train", "a.de.jsonl", "--beam", "0"), "--beam: expected whole numbers from 1"),
        (("--train", "a.de.jsonl", "--directions", "de"), "expected something like en-de"),
    ],
)
def test_wrong_options_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: tuple[str, ...], expected: str
) -> None:
    status, out, said = command(capsys, "finetune", "summarize", "--out", tmp_path / "new", *options)
    assert (status, out) == (2, "")
    assert expected in said
    assert not (tmp_path / "new").exists()


def test_a_language_without_a_tag_is_not_tested(
    arguments: list[object], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    changed = ["fr-fr" if one == "fr-de" else one for one in arguments[:-1]]
    status, _, said = command(capsys, *changed, tmp_path / "new")
    assert status == 2
    assert "--test-directions fr-fr: the run learns to write de, en, and not fr" in said
