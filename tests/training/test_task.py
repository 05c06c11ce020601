"""A second task, which shares nothing with pretraining, has all that a run has.

Covers xformer.training.run and batch, xformer.runs.settings and xformer.distributed.one_process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch.distributed as dist

from tests.training.tiny_classifier import N_POINTS, Settings, train_classifier
from xformer.errors import InputError
from xformer.progress import Progress
from xformer.runs.checkpoint import best_checkpoint, newest_checkpoint
from xformer.runs.config import TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.training.verify_resume.compare_runs import compare_runs
from xformer.training.verify_resume.fault_plan import Fault
from xformer.training.verify_resume.verify import verify_resume

HERE = Path(__file__).parent
Listening = Callable[..., Progress]


@pytest.fixture
def settings() -> Settings:
    options = {"budget": None, "steps": 60, "precision": "fp32", "log_steps": 5, "checkpoint_every": 1e6}
    return Settings(TrainingConfig(**options, trackers=()))  # type: ignore[arg-type]


def test_it_learns_logs_and_saves(settings: Settings, listening: Listening, tmp_path: Path) -> None:
    run, progress = RunDirectory(tmp_path / "run"), listening()
    assert train_classifier(run.path, settings, progress)
    lines = read_metrics(run.metrics)
    assert [line["step"] for line in lines] == list(range(5, 65, 5))
    assert set(lines[0]["loss"]) == {"classification"}
    assert lines[0]["stage"] == "all"
    assert "languages" not in lines[0]
    assert lines[-1]["loss"]["classification"] < 0.75 * lines[0]["loss"]["classification"]
    assert lines[-1]["tokens"] == 60 * N_POINTS
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    assert checkpoint.state.held_out is not None
    assert checkpoint == best_checkpoint(run.checkpoints)
    assert checkpoint.state.fingerprints == {"labels": "quadrants of seed 0"}
    assert run.load_config(Settings) == settings
    again = listening()
    assert train_classifier(run.path, settings, again)
    assert "training: complete at step 60" in again.console.export_text()


def test_it_goes_on_where_it_was_interrupted(
    settings: Settings, listening: Listening, tmp_path: Path
) -> None:
    whole, stopped = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "stopped")
    assert train_classifier(whole.path, settings, listening())
    interrupt = listening(lambda step: signal.raise_signal(signal.SIGINT) if step == 35 else None)
    assert not train_classifier(stopped.path, settings, interrupt)
    with pytest.raises(InputError, match="width was 8, not 9"):
        train_classifier(stopped.path, replace(settings, width=9), listening())
    assert train_classifier(stopped.path, settings, listening())
    assert [row for row in compare_runs(whole, stopped) if row.differences] == []


def test_a_run_that_is_evaluated_by_steps_has_the_same_best_wherever_it_stopped(
    settings: Settings, listening: Listening, tmp_path: Path
) -> None:
    options = replace(settings.training, steps=40, evaluate_steps=10, keep_checkpoints=9)
    evaluated = replace(settings, training=options)
    whole, stopped = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "stopped")
    assert train_classifier(whole.path, evaluated, listening())
    interrupt = listening(lambda step: signal.raise_signal(signal.SIGINT) if step == 25 else None)
    assert not train_classifier(stopped.path, evaluated, interrupt)
    between = newest_checkpoint(stopped.checkpoints)
    assert between is not None
    assert (between.state.step, between.state.held_out) == (25, None)
    assert train_classifier(stopped.path, evaluated, listening())
    assert [row for row in compare_runs(whole, stopped) if row.differences] == []
    states = [best.state for run in (whole, stopped) if (best := best_checkpoint(run.checkpoints))]
    assert states[0].held_out == states[1].held_out == min(loss for _, loss in states[0].evaluations)
    newest = newest_checkpoint(whole.checkpoints)
    assert newest is not None
    assert [step for step, _ in newest.state.evaluations] == [10, 20, 30, 40]
    assert all(line["tokens_per_s"] > 0 for line in read_metrics(whole.metrics))


@pytest.mark.slow
def test_stopping_leaves_no_trace(
    settings: Settings, listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE.parents[1])  # where the other process finds `tests.training`
    faults = [
        Fault("training", 0.3, 0.5, ""),
        Fault("checkpoint", 0.5, 0.5, "model.safetensors"),
        Fault("asked", 0.8, 0.1, ""),
    ]
    longer = replace(settings, training=replace(settings.training, steps=400))
    verdict = verify_resume(tmp_path, longer, train_classifier, faults, listening(), threads=1)
    assert verdict.same
    assert len(verdict.injected) >= 3
    weights = next(row for row in verdict.rows if row.what == "weights")
    assert weights.compared.startswith("4 tensors")


@pytest.mark.slow
@pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_two_processes_train_it_and_one_goes_on(
    settings: Settings, listening: Listening, tmp_path: Path
) -> None:
    settings = replace(settings, dropout=0.0)  # which differs between processes
    half = replace(settings, training=replace(settings.training, steps=20))
    done = subprocess.run(
        [sys.executable, HERE / "two_classifiers.py", tmp_path / "none", tmp_path / "full"],
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    one = RunDirectory(tmp_path / "one")
    assert train_classifier(one.path, half, listening())
    by_one = [line["loss"]["classification"] for line in read_metrics(one.metrics)]
    for sharding in ("none", "full"):
        run = RunDirectory(tmp_path / sharding)
        found = [line["loss"]["classification"] for line in read_metrics(run.metrics)]
        assert found == pytest.approx(by_one, abs=2e-5)  # as they are rounded
        assert train_classifier(run.path, settings, listening())
        assert read_metrics(run.metrics)[-1]["step"] == 60
