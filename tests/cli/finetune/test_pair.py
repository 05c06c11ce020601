"""`xformer finetune pair`, and `xformer classify` of its run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.synthetic_examples import pairs_in
from xformer.data.labelled import LabelledPair
from xformer.finetuning.config import FinetuningConfig
from xformer.runs.directory import RunDirectory

Run = Callable[..., tuple[int, str, str]]


def write(path: Path, pairs: list[LabelledPair]) -> Path:
    lines = ["text\ttext_pair\tlabel", *(f"{one.text}\t{one.text_pair}\t{one.labels[0]}" for one in pairs)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "train": write(tmp_path / "train.en-de.tsv", pairs_in("en", "de", 2)),
        "test": write(tmp_path / "test.el-de.tsv", pairs_in("el", "de", 8)),
    }


@pytest.mark.slow
def test_a_run_is_made(xformer: Run, trained: RunDirectory, files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    command = ["finetune", "pair", trained.path, "--train", files["train"], "--test", files["test"]]
    command += ["--out", out, "--epochs", "1", "--no-baselines", "--json"]
    command += ["--set", "training.precision=fp32"]
    status, shown, said = xformer(*command)
    assert status == 0, said
    assert json.loads(shown)["languages"]["el+de"]["texts"] == 30
    assert RunDirectory(out).load_config(FinetuningConfig).classifier.example == "pair"
    assert f"xformer classify {out} PAIRS" in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ["--text-pair-field", "other"],
            "train.en-de.tsv:1: no column 'other'; there are 'text'",
        ),
        (["--text-pair-field", "text"], "expected two different fields with texts, got 'text' for both"),
        (["--language-field", "text"], "--language-field, --language-pair-field: expected both or none"),
        (["--top-labels", "1"], "--top-labels: expected a whole number from 2, got 1"),
        (
            ["--set", "classifier.multi_label=true"],
            "classifier.multi_label: expected false unless",
        ),
    ],
)
def test_what_is_wrong_is_said_before_work_begins(
    change: list[str],
    expected: str,
    xformer: Run,
    trained: RunDirectory,
    files: dict[str, Path],
    tmp_path: Path,
) -> None:
    command = ["finetune", "pair", trained.path, "--train", files["train"], "--test", files["test"]]
    status, _, said = xformer(*command, "--out", tmp_path / "new", *change)
    assert (status, expected in said) == (2, True), said
    assert not (tmp_path / "new").exists()


def test_a_label_that_training_lacks(
    xformer: Run, trained: RunDirectory, files: dict[str, Path], tmp_path: Path
) -> None:
    with files["test"].open("a", encoding="utf-8") as file:
        file.write("a\tb\tsmae\n")
    command = ["finetune", "pair", trained.path, "--train", files["train"], "--test", files["test"]]
    status, _, said = xformer(*command, "--out", tmp_path / "new")
    assert status == 2
    assert "test.el-de.tsv:32: the training files never have the label 'smae', did you mean same?" in said
