"""The bench of fine-tuning on a tiny run. Covers `command`, `texts` and `worker`."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.synthetic_labels import sentences
from xformer.benchmarks.finetuning.bench import _speed, measure
from xformer.benchmarks.finetuning.command import FinetuningBench
from xformer.benchmarks.finetuning.texts import job_of
from xformer.benchmarks.finetuning.worker import Job
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory
from xformer.storage.structure import structure


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "train.en.tsv"
    lines = ["text\tlabel", *(f"{one.text}\t{one.labels[0]}" for one in sentences("en"))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_job_comes_back_from_its_file(trained: RunDirectory, texts: Path) -> None:
    options = {"batch_texts": 4, "burst": 2, "threads": 1, "precision": "fp32"}
    job = job_of(trained.path, [texts], "text", "label", max_tokens=3, **options)
    assert len(job.texts) == len(job.labels) == 120
    assert max(map(len, job.texts)) == 3
    assert job.n_classes == 5
    assert structure(json.loads(job.to_json()), Job) == job


def test_ratios_are_of_neighbouring_turns() -> None:
    ours = np.array([[1.0, 0.5], [4.0, 0.5], [2.0, 0.5]])
    theirs = ours * np.array([[3.0, 4.0], [3.0, 5.0], [3.5, 6.0]])
    found = _speed("trainer", theirs, ours, texts=12)
    assert (found.ratio, found.cpu_ratio) == (3.0, 5.0)
    assert (found.low, found.high) == (3.0, 3.5)
    assert found.texts_per_s == 12 / 7


def test_what_cannot_be_is_refused(trained: RunDirectory, texts: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--batch-texts: expected at least 1, got 0"):
        FinetuningBench(trained.path, (texts,), batch_texts=0, out=tmp_path / "out.json").run_command()


@pytest.mark.slow
def test_both_sides_train_in_turns(trained: RunDirectory, texts: Path) -> None:
    options = {"batch_texts": 8, "burst": 1, "threads": 1, "precision": "fp32"}
    job = job_of(trained.path, [texts], "text", "label", max_tokens=16, **options)
    # Hugging Face's models have no bigrams.
    job = replace(job, model=replace(job.model, bigrams=0, pool_after_norm=True))
    sides = {one.side: one for one in measure(job, ("trainer", "trainer max_length"), turns=2)}
    assert set(sides) == {"xformer", "trainer", "trainer max_length"}
    assert sides["xformer"].texts_per_s > 0
    assert sides["xformer"].ratio == 1.0
    if importlib.util.find_spec("accelerate") and importlib.util.find_spec("transformers"):
        assert sides["trainer"].ratio > 0
    else:
        note = sides["trainer"].note
        assert "accelerate" in note or "transformers" in note
