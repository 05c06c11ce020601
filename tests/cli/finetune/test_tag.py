"""`xformer finetune tag`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.synthetic_examples import words_in
from xformer.data.labelled import LabelledWords
from xformer.finetuning.config import FinetuningConfig
from xformer.runs.directory import RunDirectory

Run = Callable[..., tuple[int, str, str]]


def write(path: Path, sentences: list[LabelledWords]) -> Path:
    blocks = ["".join(f"{w}\t{t}\n" for w, t in zip(one.words, one.tags, strict=True)) for one in sentences]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "train": write(tmp_path / "train.de+en.conll", words_in("en", "de", 2)),
        "test": write(tmp_path / "test.de+en.conll", words_in("en", "de", 8, 1)),
    }


@pytest.mark.slow
def test_a_run_is_made(xformer: Run, trained: RunDirectory, files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "tags"
    command = ["finetune", "tag", trained.path, "--train", files["train"], "--test", files["test"]]
    command += ["--out", out, "--epochs", "1", "--no-baselines", "--json"]
    status, shown, said = xformer(*command, "--set", "training.precision=fp32")
    assert status == 0, said
    found = json.loads(shown)
    assert found["example"] == "words"
    assert found["languages"]["de+en"]["texts"] == sum(len(one.words) for one in words_in("en", "de", 8, 1))
    config = RunDirectory(out).load_config(FinetuningConfig)
    assert (config.classifier.example, config.classifier.coordinates) == ("words", "all")
    assert f"xformer tag {out} FILE" in said


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Hund", "train.de+en.conll:4: expected 2 columns, as above, got 1: 'Hund'"),
        ("Hund\t", "train.de+en.conll:4: expected a tag in column 2, it is empty"),
    ],
)
def test_a_broken_line_is_named(
    line: str, expected: str, xformer: Run, trained: RunDirectory, tmp_path: Path
) -> None:
    path = tmp_path / "train.de+en.conll"
    path.write_text(f"dog\ten\nHund\tde\n\n{line}\n", encoding="utf-8")
    status, _, said = xformer("finetune", "tag", trained.path, "--train", path, "--out", tmp_path / "new")
    assert (status, expected in said) == (2, True), said
    assert not (tmp_path / "new").exists()


def test_a_tag_that_training_lacks_and_one_class(
    xformer: Run, trained: RunDirectory, files: dict[str, Path], tmp_path: Path
) -> None:
    command = ["finetune", "tag", trained.path, "--out", tmp_path / "new", "--train"]
    files["test"].write_text("Hund\tde\nchien\tfr\n", encoding="utf-8")
    status, _, said = xformer(*command, files["train"], "--test", files["test"])
    assert status == 2
    assert "test.de+en.conll:2: the training files never have the label 'fr'" in said
    alone = tmp_path / "alone.en.conll"
    alone.write_text("a\tX\nb\tX\n", encoding="utf-8")
    status, _, said = xformer(*command, alone)
    assert status == 2
    assert "alone.en.conll:1: expected at least two classes, found the label 'X' alone everywhere" in said
