"""`xformer finetune classify`, `xformer classify` and `xformer evaluate` of such a run.

Covers `options`, `top_labels`, `command` and `again`, and xformer.cli.classify.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import xformer as package
from tests.synthetic_labels import sentences
from xformer.data.labelled import LabelledText
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.data_record import DataRecord, PartRecord, write_data_record
from xformer.runs.directory import RunDirectory

Run = Callable[..., tuple[int, str, str]]


def write(path: Path, texts: list[LabelledText]) -> Path:
    lines = ["text\tlabel", *(f"{one.text}\t{one.labels[0]}" for one in texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "train": write(tmp_path / "train.en.tsv", sentences("en")[::2]),
        "dev": write(tmp_path / "dev.en.tsv", sentences("en")[1::4]),
        "test": write(tmp_path / "test.de.tsv", sentences("de")[::6]),
    }


@pytest.mark.slow
def test_a_run_is_made_and_used(
    xformer: Run,
    trained: RunDirectory,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "animals"
    options = ["--epochs", "2", "--no-baselines", "--balanced", "--set", "training.precision=fp32"]
    command = ["finetune", "classify", trained.path, "--train", files["train"], "--dev", files["dev"]]
    command += ["--test", files["test"], "--out", out, *options, "classifier.batch_texts=20"]
    status, shown, said = xformer(*command)
    assert status == 0, said
    assert "tested in 1 language" in shown
    assert "training: done at step 6" in said
    config = RunDirectory(out).load_config(FinetuningConfig)
    assert config.classifier.class_weights == "balanced"
    assert (config.training.steps, config.training.evaluate_steps) == (6, 2)
    # The same texts from a folder that `datasets` saved.
    folder = saved_by_datasets(tmp_path / "animals.en", files)
    again = [folder if one in (files["train"], files["dev"]) else one for one in command]
    status, shown, said = xformer(*again, "--json", "--licence", "CC0-1.0")
    assert status == 0, said
    assert json.loads(shown)["languages"]["de"]["texts"] == 20
    assert "training: complete" in said
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "Licence of the texts: CC0-1.0" in card
    assert f"{folder}/validation" in card
    evaluated_again(xformer, out, files["test"], json.loads(shown))

    lines = ["dog sees house", "", "Hund\tsieht Haus"]
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    expected = package.load(out).classify(lines)
    status, shown, _ = xformer("classify", out, path)
    assert [line.split("\t") for line in shown.splitlines()] == [
        [one.label, f"{one.probability:.3f}", line.replace("\t", " ")]
        for one, line in zip(expected, lines, strict=True)
    ]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes()), encoding="utf-8"))
    status, shown, _ = xformer("classify", out, "--json", "--line-buffered")
    rows = [json.loads(line) for line in shown.splitlines()]
    assert [row["text"] for row in rows] == lines
    assert [row["labels"] for row in rows] == [list(one.labels) for one in expected]
    for row, one in zip(rows, expected, strict=True):
        assert row["probabilities"] == pytest.approx(one.probabilities, abs=1e-5)


def evaluated_again(xformer: Run, out: Path, test: Path, scores: object) -> None:
    """`xformer evaluate` finds the files again, and works where they have gone."""
    status, shown, said = xformer("evaluate", out, "--json")
    assert (status, json.loads(shown)) == (0, scores)
    assert "evaluated before, at step" in said
    status, shown, said = xformer("evaluate", out, "--force", "--json")
    assert (status, json.loads(shown)) == (0, scores)
    assert "evaluated before" not in said
    status, _, said = xformer("evaluate", out, "--pivot", "de")
    assert status == 2
    assert "--pivot: " in said
    moved = test.rename(test.with_name("elsewhere"))
    status, shown, said = xformer("evaluate", out, "--json")
    assert (status, json.loads(shown)) == (0, scores)
    assert f"{test}: no such file; these are the scores that the run has" in said
    assert xformer("evaluate", out, "--force")[0] == 2
    moved.rename(test)
    status, shown, _ = xformer("report", out)
    assert (status, Path(shown.strip())) == (0, out / "report.html")


def saved_by_datasets(folder: Path, files: dict[str, Path]) -> Path:
    """The training and dev texts as splits of a saved dataset."""
    import pyarrow

    from tests.data.readers.test_arrow import saved

    for split, name in (("train", "train"), ("validation", "dev")):
        rows = [line.split("\t") for line in files[name].read_text(encoding="utf-8").splitlines()[1:]]
        texts, labels = zip(*rows, strict=True)
        saved(folder / split, pyarrow.table({"text": list(texts), "label": list(labels)}))
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    return folder


def test_evaluate_says_what_it_cannot_do_with_a_fine_tuned_run(
    xformer: Run, finetuned: Path, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "animals")
    shutil.copytree(finetuned, run.path)
    status, _, said = xformer("evaluate", run.path)
    assert status == 2
    assert "is not complete; the command that began it goes on with it" in said
    part = PartRecord.of(sentences("en"), ["train.en.tsv"])
    options = {"run": "runs/demo", "train": ["train.en.tsv"], "out": "x"}
    for record, expected in (
        (DataRecord(part, part), "was made in Python from rows"),
        (DataRecord(part, part, options=options), "has no test files; give the command"),
        (DataRecord(part, part, options=options | {"new": 3}), "options.new: unknown"),
    ):
        write_data_record(run, record)
        status, _, said = xformer("evaluate", run.path)
        assert status == 2
        assert expected in said


def test_a_run_without_labels_says_what_makes_one(
    xformer: Run, trained: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "lines.txt").write_text("a\n", encoding="utf-8")
    status, shown, said = xformer("classify", trained.path, tmp_path / "lines.txt")
    assert (status, shown) == (2, "")
    assert "this run has no labels; `xformer finetune classify" in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--label-field", "topic"], r"train.en.tsv:1: no column 'topic'; there are 'text', 'label'"),
        (["--top-labels", "1"], "--top-labels: expected a whole number from 2, got 1"),
        (["--epochs", "0"], "--epochs, --evaluate-every: expected positive numbers"),
        (["--seeds", "0"], "--seeds: expected a whole number from 1"),
        (["--budget", "soon"], "--budget: expected something like 90s"),
        (["--set", "training.steps=5"], "--set training.steps=5: this is what --epochs says"),
        (["--set", "classifier.layers=9"], "classifier.layers: expected at most model.n_layers=2"),
        (["--set", "classifier.dropot=0"], "classifier.dropot: unknown key, did you mean classifier.dropout"),
        (["--text-field", "label"], "expected"),
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
    if change == ["--text-field", "label"]:
        # One label in all rows.
        write(files["train"], [one for one in sentences("en") if one.labels == ("dog",)])
        expected = "train.en.tsv:2: expected at least two classes, found the label 'dog' alone"
    status, _, said = xformer(
        *("finetune", "classify", trained.path, "--train", files["train"], "--dev", files["dev"]),
        *("--test", files["test"], "--out", tmp_path / "new", *change),
    )
    assert status == 2
    assert expected in said
    assert not (tmp_path / "new").exists()


def test_labels_and_languages_that_training_lacks(
    xformer: Run, trained: RunDirectory, files: dict[str, Path], tmp_path: Path
) -> None:
    command = ["finetune", "classify", trained.path, "--train", files["train"], "--out", tmp_path / "new"]
    with files["test"].open("a", encoding="utf-8") as file:
        file.write("Maus sieht Haus\tmouse\n")
    status, _, said = xformer(*command, "--test", files["test"])
    assert status == 2
    assert "test.de.tsv:22: the training files never have the label 'mouse'" in said
    status, _, said = xformer(*command, "--dev", files["test"], "--top-labels", "5")
    assert status == 2
    assert "test.de.tsv:2: --dev is in de; expected examples in the languages of --train (en)" in said
    status, _, said = xformer(*command[:-1], trained.path)
    assert status == 2
    assert "expected another folder than the pretrained run's" in said
    status, _, said = xformer(*command[:2], tmp_path, *command[3:])
    assert status == 2
    assert not (tmp_path / "new").exists()
