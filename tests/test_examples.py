"""The program of examples/, on a run and on its exported folder: right on texts that it has not seen."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import xformer
from tests.synthetic_labels import sentences
from tests.synthetic_runs import WORDS
from xformer.interop.export.folder import export_huggingface
from xformer.model.config import ModelConfig
from xformer.pretraining import pretrain
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(
    begin: Callable[[RunConfig], RunDirectory], config: RunConfig, listening: type[Progress]
) -> RunDirectory:
    """A few steps, of an architecture that transformers holds."""
    model = ModelConfig(vocab_size=360, d_model=64, n_heads=2, d_ff=64, n_layers=1, max_length=64)
    made = begin(replace(config, model=model))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "plot_losses", lambda metrics, path: path)
        assert pretrain.pretrain(made.path, made.load_config(), listening())
    return made


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The animal of each sentence; every fourth is not trained on."""
    path = tmp_path_factory.mktemp("table") / "animals.tsv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow(["split", "language", "label", "text"])
        for language in WORDS:
            for number, one in enumerate(sentences(language)):
                rows.writerow(["train" if number % 4 else "test", language, one.labels[0], one.text])
    return path


def right(program: str, folder: Path, table: Path, out: Path) -> dict[str, tuple[int, int]]:
    """What the program prints: of each language, right answers and texts."""
    command = [sys.executable, "-c", program, str(folder), str(table), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(\w+): (\d+) of (\d+) right", done.stdout, re.MULTILINE)
    return {language: (int(hits), int(texts)) for language, hits, texts in found}


def test_on_a_run_one_import_line_changes(
    run: RunDirectory, table: Path, tmp_path: Path, repository: Path
) -> None:
    program = (repository / "examples" / "classify.py").read_text(encoding="utf-8")
    assert program.count("from transformers import") == 1
    ours = program.replace("from transformers import", "from xformer.auto import")
    found = right(ours, run.path, table, tmp_path / "animals")
    assert found.keys() == WORDS.keys()
    assert all(hits >= 0.8 * texts > 20 for hits, texts in found.values()), found
    saved = xformer.load(tmp_path / "animals")
    first = next(row for row in sentences("en"))
    assert saved.classify(first.text).label == first.labels[0]


def test_on_an_exported_folder_nothing_changes(
    run: RunDirectory, table: Path, tmp_path: Path, repository: Path
) -> None:
    pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")
    pytest.importorskip("sentence_transformers", reason="needs the extra `hf`: sentence-transformers")
    export_huggingface(run.path, tmp_path / "exported", Progress(), n_lines=20)
    settings = json.loads((tmp_path / "exported" / "config.json").read_text(encoding="utf-8"))
    assert settings["classifier_pooling"] == "mean"  # there is no `<s>` to read
    program = (repository / "examples" / "classify.py").read_text(encoding="utf-8")
    found = right(program, tmp_path / "exported", table, tmp_path / "animals")
    assert all(hits >= 0.8 * texts > 20 for hits, texts in found.values()), found
    assert (tmp_path / "animals" / "model.safetensors").is_file()


def test_the_sentences_are_held_out_by_meaning(repository: Path) -> None:
    """60 sentences of each label, a third in each language; a test sentence is not in training."""
    with (repository / "examples" / "sentences.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    train, test = ([row for row in rows if row["split"] == split] for split in ("train", "test"))
    assert (len(train), len(test)) == (168, 72)
    assert not {row["text"] for row in train} & {row["text"] for row in test}
    counts = {(r["split"], r["language"], r["label"]) for r in rows}
    assert len(counts) == 2 * 3 * 4
    assert all(row["text"] == row["text"].strip() != "" for row in rows)
