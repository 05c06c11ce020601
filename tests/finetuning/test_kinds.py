"""Runs for pairs and for words, from the first step to the scores. Covers `baselines` and `cosines`."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.synthetic_examples import pair_config, pairs_in, words_config, words_in
from xformer.data.labelled import Example
from xformer.errors import InputError
from xformer.evaluation.classification.report import ClassificationReport
from xformer.evaluation.classification.table import classification_table, markdown
from xformer.finetuning.baselines import targets_of
from xformer.finetuning.config import ExampleKind, FinetuningConfig
from xformer.finetuning.cosines import settle_cosines
from xformer.finetuning.experiment import Experiment, run_experiment
from xformer.finetuning.finetune import SourceExamples, finetune, labelled
from xformer.finetuning.kinds import kind_of
from xformer.finetuning.load import open_finetuned
from xformer.finetuning.predict import logits_of, probabilities_of
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.settings import with_training
from xformer.training.verify_resume.compare_runs import compare_runs

Listening = Callable[..., Any]
KINDS: tuple[ExampleKind, ...] = ("pair", "words")


def config_of(finetuning: FinetuningConfig, kind: ExampleKind, **changes: Any) -> FinetuningConfig:
    return {"pair": pair_config, "words": words_config}[kind](finetuning, **changes)


def examples_of(kind: ExampleKind) -> SourceExamples[Any]:
    make: Callable[..., list[Any]] = pairs_in if kind == "pair" else words_in
    return SourceExamples(make("en", "de", 2), make("en", "de", 4, 1))


def asked_of(kind: ExampleKind) -> Sequence[Example]:
    make: Callable[..., list[Any]] = pairs_in if kind == "pair" else words_in
    return [*make("en", "de", 8, 3), *(pairs_in("el", "de", 8) if kind == "pair" else [])]


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_to_the_same_bits_wherever_it_was_interrupted(
    kind: ExampleKind, finetuning: FinetuningConfig, listening: Listening, tmp_path: Path
) -> None:
    config, examples = config_of(finetuning, kind), examples_of(kind)
    whole, stopped = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "stopped")
    assert finetune(whole.path, config, examples, listening())
    for at in (3, 15):
        interrupt = listening(lambda step, at=at: signal.raise_signal(signal.SIGINT) if step == at else None)
        assert not finetune(stopped.path, config, examples, interrupt)
    assert finetune(stopped.path, config, examples, listening())
    assert [row for row in compare_runs(whole, stopped) if row.differences] == []
    ends = [newest_checkpoint(run.checkpoints) for run in (whole, stopped)]
    assert all(end is not None and end.state.step == 18 for end in ends)
    first, second = (end.whole("model") for end in ends if end is not None)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = replace(examples, train=examples.train[1:])
    with pytest.raises(InputError, match="trained on another training text"):
        finetune(whole.path, with_training(config, steps=20), other, listening())


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_says_what_its_vectors_say(
    kind: ExampleKind, finetuning: FinetuningConfig, listening: Listening, tmp_path: Path
) -> None:
    examples = examples_of(kind)
    assert finetune(tmp_path / "probe", config_of(finetuning, kind, frozen=True), examples, listening())
    opened = open_finetuned(tmp_path / "probe")
    data = labelled(examples.dev, opened.config, opened.tokenizer)
    logits = logits_of(opened.model, data.inputs, torch.device("cpu"), batch_tokens=30)
    wrong = (logits.argmax(dim=1) != data.targets).double().mean()
    assert float(wrong) == pytest.approx(opened.state.held_out)


@pytest.fixture(scope="module", params=KINDS)
def reported(
    request: pytest.FixtureRequest,
    finetuning: FinetuningConfig,
    listening: Listening,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Experiment, ClassificationReport]:
    kind: ExampleKind = request.param
    experiment = Experiment(
        tmp_path_factory.mktemp(kind) / "run",
        config_of(finetuning, kind),
        examples_of(kind),
        asked_of(kind),
        watched=5,
    )
    report = run_experiment(experiment, listening())
    assert report is not None
    return experiment, report


def test_every_system_is_scored_in_every_language(
    reported: tuple[Experiment, ClassificationReport],
) -> None:
    experiment, report = reported
    kind = kind_of(report.example)
    assert ClassificationReport.load(RunDirectory(experiment.out).classification) == report
    own = {"pair": ("cosine", "length"), "words": ("seen", "letters")}[report.example]
    assert set(report.systems) == {"model", "bag", "untrained", "majority", *own}
    assert set(report.languages) == {"pair": {"en+de", "el+de"}, "words": {"en+de"}}[report.example]
    assert report.targets == (("el+de",) if report.example == "pair" else ())
    opened = open_finetuned(experiment.out)
    for tag, one in report.languages.items():
        data = labelled(experiment.languages[tag], opened.config, opened.tokenizer)
        assert one.texts == data.n_units == np.array(one.confusion).sum()
        logits = logits_of(opened.model, data.inputs, torch.device("cpu"))
        right = probabilities_of(logits, False).argmax(axis=1) == data.targets.numpy()
        assert one.systems["model"].by_seed[0] == pytest.approx(right.mean())
        for system in one.systems.values():
            assert 0 <= system.low <= system.mean.accuracy <= system.high <= 1
    assert report.languages["en+de"].systems["model"].mean.accuracy > 0.8
    table = markdown(report)
    assert f"| accuracy | {kind.units} | model |" in table
    assert f"training {kind.examples} in en+de" in table
    assert classification_table(report)


def test_what_the_word_alone_says_is_better_than_the_commonest_label(
    reported: tuple[Experiment, ClassificationReport],
) -> None:
    report = reported[1]
    if report.example == "words":
        systems = report.languages["en+de"].systems
        assert systems["seen"].mean.accuracy > systems["majority"].mean.accuracy + 0.1
        assert systems["letters"].mean.accuracy > systems["majority"].mean.accuracy + 0.1


def test_cosines_are_those_of_the_pretrained_run_and_are_kept(
    finetuning: FinetuningConfig, listening: Listening, tmp_path: Path
) -> None:
    import xformer

    config = config_of(finetuning, "pair")
    base = tmp_path / "base"
    shutil.copytree(config.base.run, base)
    config = replace(config, base=replace(config.base, run=str(base)))
    pairs = {"train": [one.content for one in pairs_in("en", "de", 20)], "en+de": [("dog", "")]}
    cpu = torch.device("cpu")
    found = settle_cosines(tmp_path / "kept", config, pairs, listening(), cpu)
    model = xformer.load(base)
    vectors = [model.encode([pair[side] for pair in pairs["train"]]) for side in (0, 1)]
    layer = model.layer.layer
    if layer == config.model.n_layers:  # where the run had not chosen one, all blocks are run
        np.testing.assert_allclose(found["train"], (vectors[0] * vectors[1]).sum(axis=1), atol=1e-4)
    assert found["en+de"].shape == (1,)
    shutil.rmtree(base)
    again = settle_cosines(tmp_path / "kept", config, pairs, listening(), cpu)
    assert all(np.array_equal(found[part], again[part]) for part in found)
    with pytest.raises(InputError, match="base"):
        settle_cosines(tmp_path / "kept", config, {"train": [("a", "b")]}, listening(), cpu)


def test_targets() -> None:
    assert targets_of(pairs_in("en", "de", 60)[:2], ("other", "same")).tolist() == [
        [False, True],
        [True, False],
    ]
    one = words_in("en", "de")[0]
    assert targets_of([one], ("de", "en"))[:, 0].tolist() == [tag == "de" for tag in one.tags]
