"""A fine-tuned run from its first step to its last. Covers xformer.finetuning.task, base and load."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.synthetic_labels import sentences
from xformer.data.labelled import LabelledText
from xformer.errors import InputError
from xformer.finetuning.base import base_of
from xformer.finetuning.config import ConsistencyConfig, FinetuningConfig
from xformer.finetuning.finetune import SourceExamples, finetune, labelled, split_off
from xformer.finetuning.load import open_finetuned
from xformer.finetuning.predict import logits_of
from xformer.runs.checkpoint import best_checkpoint, newest_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.runs.settings import with_training
from xformer.training.verify_resume.compare_runs import compare_runs

Listening = Callable[..., Any]
Changed = Callable[..., FinetuningConfig]


def test_it_learns_logs_and_saves(finetuned: Path, finetuning: FinetuningConfig) -> None:
    run = RunDirectory(finetuned)
    assert run.load_config(FinetuningConfig) == finetuning
    lines = read_metrics(run.metrics)
    assert [line["step"] for line in lines] == [3, 6, 9, 12, 15, 18]
    assert set(lines[0]["loss"]) == {"classification", "error"}
    assert lines[-1]["loss"]["classification"] < 0.5 * lines[0]["loss"]["classification"]
    newest = newest_checkpoint(run.checkpoints)
    assert newest is not None
    assert [step for step, _ in newest.state.evaluations] == [6, 12, 18]
    best = best_checkpoint(run.checkpoints)
    assert best is not None
    assert best.state.held_out == min(loss for _, loss in newest.state.evaluations)


def test_the_saved_model_answers_as_the_held_out_texts_said(
    finetuned: Path, source_texts: SourceExamples[LabelledText]
) -> None:
    opened = open_finetuned(finetuned)
    data = labelled(source_texts.dev, opened.config, opened.tokenizer)
    logits = logits_of(opened.model, data.inputs, torch.device("cpu"))
    wrong = (logits.argmax(dim=1) != data.targets).double().mean()
    assert float(wrong) == pytest.approx(opened.state.held_out)
    assert wrong < 0.3


def test_it_goes_on_to_the_same_bits_wherever_it_was_interrupted(
    finetuned: Path,
    finetuning: FinetuningConfig,
    source_texts: SourceExamples[LabelledText],
    listening: Listening,
    tmp_path: Path,
) -> None:
    stopped = RunDirectory(tmp_path / "stopped")
    for at in (3, 15):
        interrupt = listening(lambda step, at=at: signal.raise_signal(signal.SIGINT) if step == at else None)
        assert not finetune(stopped.path, finetuning, source_texts, interrupt)
    assert finetune(stopped.path, finetuning, source_texts, listening())
    assert [row for row in compare_runs(RunDirectory(finetuned), stopped) if row.differences] == []
    whole, resumed = (best_checkpoint(RunDirectory(path).checkpoints) for path in (finetuned, stopped.path))
    assert whole is not None
    assert resumed is not None
    assert (whole.state.step, whole.state.held_out) == (resumed.state.step, resumed.state.held_out)
    expected = whole.whole("model")
    assert all(torch.equal(expected[name], tensor) for name, tensor in resumed.whole("model").items())


def test_a_run_that_has_begun_needs_neither_its_base_nor_other_settings(
    trained: RunDirectory,
    finetuning: FinetuningConfig,
    source_texts: SourceExamples[LabelledText],
    listening: Listening,
    tmp_path: Path,
) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    shutil.copytree(trained.path, base)
    found, model = base_of(base, new)
    moved = replace(finetuning, base=found, model=model)
    short = with_training(moved, steps=6)
    assert finetune(new, short, source_texts, listening())
    shutil.rmtree(base)
    assert base_of(base, new) == (found, model)
    with pytest.raises(InputError, match="this run began from"):
        base_of(tmp_path / "other", new)
    assert finetune(new, moved, source_texts, listening())
    with pytest.raises(InputError, match=r"head_lr was 0\.01, not 0\.5"):
        finetune(
            new, replace(moved, optimizer=replace(moved.optimizer, head_lr=0.5)), source_texts, listening()
        )
    other = SourceExamples(source_texts.train[1:], source_texts.dev)
    with pytest.raises(InputError, match="trained on another training text"):
        finetune(new, moved, other, listening())


def test_a_probe_leaves_the_encoder_alone(
    with_classifier: Changed,
    source_texts: SourceExamples[LabelledText],
    listening: Listening,
    trained: RunDirectory,
    tmp_path: Path,
) -> None:
    path = tmp_path / "probe"
    assert finetune(path, with_classifier(frozen=True), source_texts, listening())
    probe, base = open_finetuned(path).model, newest_checkpoint(trained.checkpoints)
    assert base is not None
    pretrained = base.whole("model")
    for name, weight in probe.encoder.state_dict().items():
        assert torch.equal(weight, pretrained[f"encoder.{name}"])
    lines = read_metrics(RunDirectory(path).metrics)
    assert lines[-1]["loss"]["classification"] < lines[0]["loss"]["classification"]


def test_a_probe_s_vectors_are_those_of_the_model(
    with_classifier: Changed, source_texts: SourceExamples[LabelledText], listening: Listening, tmp_path: Path
) -> None:
    path = tmp_path / "probe"
    assert finetune(path, with_classifier(frozen=True), source_texts, listening())
    opened = open_finetuned(path)
    data = labelled(source_texts.dev, opened.config, opened.tokenizer)
    logits = logits_of(opened.model, data.inputs, torch.device("cpu"))
    wrong = (logits.argmax(dim=1) != data.targets).double().mean()
    assert float(wrong) == pytest.approx(opened.state.held_out)


def test_training_stops_early(
    finetuning: FinetuningConfig,
    source_texts: SourceExamples[LabelledText],
    listening: Listening,
    tmp_path: Path,
) -> None:
    # The labels of the held-out texts are wrong, so that what is learned makes nothing better.
    dev = [replace(one, labels=("fox",)) for one in source_texts.dev if one.labels != ("fox",)]
    hopeless = SourceExamples(source_texts.train, dev)
    early = with_training(finetuning, steps=60, evaluate_steps=2, patience=2)
    run, progress = RunDirectory(tmp_path / "early"), listening()
    assert finetune(run.path, early, hopeless, progress)
    assert "stopped early" in progress.console.export_text()
    newest = newest_checkpoint(run.checkpoints)
    assert newest is not None
    assert newest.state.step < 60
    losses = [loss for _, loss in newest.state.evaluations]
    assert min(losses[-2:]) >= min(losses[:-2])
    again = listening()
    assert finetune(run.path, early, hopeless, again)
    assert "training: complete" in again.console.export_text()


def test_several_labels_a_text(
    with_classifier: Changed, listening: Listening, tmp_path: Path, source_texts: SourceExamples[LabelledText]
) -> None:
    def of(one: LabelledText) -> LabelledText:
        return replace(one, labels=(one.labels[0], *(["zzz"] if "buys" in one.text else [])))

    labels = ("bird", "cat", "dog", "fox", "horse", "zzz")
    config = with_training(with_classifier(labels=labels, multi_label=True), steps=40, evaluate_steps=20)
    texts = SourceExamples([of(one) for one in source_texts.train], [of(one) for one in source_texts.dev])
    assert finetune(tmp_path / "several", config, texts, listening())
    opened = open_finetuned(tmp_path / "several")
    data = labelled(texts.dev, opened.config, opened.tokenizer)
    said = logits_of(opened.model, data.inputs, torch.device("cpu")) > 0
    assert ((said == (data.targets > 0)).double().mean()) > 0.85


def test_a_run_of_another_task_is_no_classifier(trained: RunDirectory) -> None:
    with pytest.raises(InputError, match="expected a run that was fine-tuned to classify"):
        open_finetuned(trained.path)


def test_the_log_and_the_state_are_plain_json(finetuned: Path) -> None:
    state = json.loads(next(finetuned.glob("checkpoints/*/state.json")).read_text(encoding="utf-8"))
    assert state["state"]["fingerprints"].keys() == {"training text", "dev text", "tokenizer"}


def test_a_share_is_held_out_at_random() -> None:
    texts = sentences("en")
    train, dev = split_off(texts, 0.1)
    assert (len(train), len(dev)) == (108, 12)
    assert sorted(one.place for one in [*train, *dev]) == sorted(one.place for one in texts)
    assert split_off(texts, 0.1) == (train, dev)
    assert len(split_off(texts[:2], 0.1)[1]) == 1


@pytest.mark.parametrize("frozen", [False, True])
def test_translations_without_labels_teach_their_language(
    frozen: bool,
    finetuning: FinetuningConfig,
    source_texts: SourceExamples[LabelledText],
    corpus: Path,
    listening: Listening,
    tmp_path: Path,
) -> None:
    config = replace(
        finetuning,
        classifier=replace(finetuning.classifier, frozen=frozen),
        consistency=ConsistencyConfig(str(corpus), batch_pairs=16),
    )
    whole, stopped = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "stopped")
    assert finetune(whole.path, config, source_texts, listening())
    assert set(read_metrics(whole.metrics)[0]["loss"]) == {"classification", "error", "consistency"}
    without = RunDirectory(tmp_path / "without")
    unlabelled = replace(config.consistency, weight=1e-9)
    assert finetune(without.path, replace(config, consistency=unlabelled), source_texts, listening())
    learned, ignored = (read_metrics(run.metrics)[-1]["loss"]["consistency"] for run in (whole, without))
    assert learned < 0.8 * ignored
    interrupt = listening(lambda step: signal.raise_signal(signal.SIGINT) if step == 3 else None)
    assert not finetune(stopped.path, config, source_texts, interrupt)
    assert finetune(stopped.path, config, source_texts, listening())
    assert [row for row in compare_runs(whole, stopped) if row.differences] == []


def test_a_probe_goes_on_with_the_vectors_that_it_began_with(
    finetuning: FinetuningConfig,
    source_texts: SourceExamples[LabelledText],
    listening: Listening,
    tmp_path: Path,
) -> None:
    config = replace(finetuning, classifier=replace(finetuning.classifier, frozen=True))
    whole, stopped = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "stopped")
    assert finetune(whole.path, config, source_texts, listening())
    interrupt = listening(lambda step: signal.raise_signal(signal.SIGINT) if step == 3 else None)
    assert not finetune(stopped.path, config, source_texts, interrupt)
    assert finetune(stopped.path, config, source_texts, listening())
    assert [row for row in compare_runs(whole, stopped) if row.differences] == []


def test_translations_belong_to_texts(finetuning: FinetuningConfig) -> None:
    with pytest.raises(ValueError, match=r"consistency.corpus: expected none unless examples are texts"):
        replace(
            finetuning,
            classifier=replace(finetuning.classifier, example="words"),
            consistency=ConsistencyConfig("corpora/mine"),
        )
