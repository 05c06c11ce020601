"""Trials of both precisions leave no trace in the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.training.tiny_classifier import ClassificationLoss, Settings, TinyClassifier, train_classifier
from xformer.distributed.one_process import ALONE
from xformer.progress import Progress
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.config import Precision, TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.training.losses import StepSums
from xformer.training.precision import TURNS
from xformer.training.precision_trial import settle_precision
from xformer.training.schedule import Span
from xformer.training.trainer import Trainer
from xformer.training.verify_resume.compare_runs import compare_runs

Listening = Callable[..., Progress]


@pytest.fixture
def _able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that may have instructions for bf16."""
    monkeypatch.setattr("xformer.training.precision.lacks_bf16", lambda device: False)


def _settings(precision: Precision) -> Settings:
    options = TrainingConfig(budget=None, steps=20, precision=precision, log_steps=5, trackers=())
    return Settings(options, dropout=0.5)


@pytest.mark.usefixtures("_able")
def test_a_trial_changes_nothing(tmp_path: Path) -> None:
    settings = _settings("auto")
    task = TinyClassifier(settings, 0, 1)
    # A norm whose buffers move with each batch.
    task.model = nn.Sequential(nn.BatchNorm1d(2), task.model)
    task.losses = ClassificationLoss(task.model)
    trainer = Trainer(task, ALONE, "fp32", RunDirectory(tmp_path))
    optimizer = task.optimizer()
    before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
    random = torch.get_rng_state()
    task.model.eval()
    choice = settle_precision("auto", trainer, optimizer, Span.of(settings.training))
    assert set(choice.seconds) == {"fp32", "bf16"}
    assert trainer.precision == choice.precision
    assert torch.equal(torch.get_rng_state(), random)
    for name, tensor in task.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in task.model.parameters())
    assert not task.model.training
    assert not optimizer.state


@pytest.mark.usefixtures("_able")
def test_each_trial_is_the_same_step_of_the_last_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, seen = _settings("auto"), []
    task = TinyClassifier(settings, 0, 1)
    trainer = Trainer(task, ALONE, "fp32", RunDirectory(tmp_path))

    def backward(batch: object, stage: str, step: int) -> StepSums:
        seen.append((trainer.precision, stage, step))
        return Trainer.backward(trainer, batch, stage, step)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer, "backward", backward)
    settle_precision("auto", trainer, task.optimizer(), Span.of(settings.training))
    assert {one[1:] for one in seen} == {("all", 0)}
    assert 4 <= len(seen) <= 2 * (TURNS + 1)
    assert [one[0] for one in seen] == ["fp32", "bf16"] * (len(seen) // 2)


@pytest.mark.usefixtures("_able")
def test_a_run_begins_with_the_same_bits_as_without_a_trial(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xformer.training.precision._CLEARLY", 0.0)  # whatever is measured, fp32 is taken
    tried, given = RunDirectory(tmp_path / "tried"), RunDirectory(tmp_path / "given")
    progress = listening()
    assert train_classifier(tried.path, _settings("auto"), progress)
    assert train_classifier(given.path, _settings("fp32"), listening())
    rows = compare_runs(tried, given)
    assert [row.what for row in rows if row.differences and row.what in ("weights", "metrics.jsonl")] == []
    assert any(row.what == "weights" for row in rows)
    assert "precision: fp32, as a step of the run takes" in progress.console.export_text()
    checkpoint = newest_checkpoint(tried.checkpoints)
    assert checkpoint is not None
    assert set(checkpoint.state.precision_trial) == {"fp32", "bf16"}


def test_a_resumed_run_keeps_its_precision(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings("auto")
    monkeypatch.setattr("xformer.training.precision.lacks_bf16", lambda device: True)
    assert train_classifier(tmp_path / "run", settings, listening())
    monkeypatch.setattr("xformer.training.precision.lacks_bf16", lambda device: False)
    longer = replace(settings, training=replace(settings.training, steps=25))
    progress = listening()
    assert train_classifier(tmp_path / "run", longer, progress)
    assert "precision: fp32, as the run began" in progress.console.export_text()
