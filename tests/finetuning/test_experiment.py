"""Seeds, baselines, scores and pictures of a fine-tuned run. Covers xformer.finetuning.watch and predict."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.synthetic_labels import sentences
from xformer.data.labelled import LabelledText
from xformer.evaluation.classification.report import ClassificationReport
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.experiment import Experiment, run_experiment
from xformer.finetuning.finetune import SourceExamples, labelled
from xformer.finetuning.load import open_finetuned
from xformer.finetuning.predict import logits_of, probabilities_of, vectors_of
from xformer.finetuning.watch import oracle_gaps
from xformer.runs.directory import RunDirectory

Listening = Callable[..., Any]


@pytest.fixture(scope="module")
def experiment(
    finetuning: FinetuningConfig,
    source_texts: SourceExamples[LabelledText],
    labelled_tests: list[LabelledText],
    tmp_path_factory: pytest.TempPathFactory,
) -> Experiment:
    within = [one for language in ("de", "el") for one in sentences(language)[1::3]]
    out = tmp_path_factory.mktemp("experiment") / "animals"
    return Experiment(out, finetuning, source_texts, labelled_tests, within, seeds=2, watched=10)


@pytest.fixture(scope="module")
def report(experiment: Experiment, listening: Listening) -> ClassificationReport:
    found = run_experiment(experiment, listening())
    assert found is not None
    return found


def test_every_system_has_scores_in_every_language(report: ClassificationReport) -> None:
    assert report.systems == ("model", "bag", "untrained", "words", "characters", "majority")
    assert report.source == ("en",)
    assert report.targets == ("de", "el")
    for tag, one in report.languages.items():
        assert one.texts == 40
        assert set(one.systems) == set(report.systems)
        assert len(one.systems["model"].by_seed) == 2
        assert one.systems["model"].low <= one.systems["model"].mean.accuracy <= one.systems["model"].high
        assert one.systems["words"].trained_on == (96 if tag == "en" else 40)
        assert np.array(one.confusion).sum() == 40
        assert one.oracle is not None
        assert one.oracle.texts == 10
        assert one.oracle.gap >= 0
    assert report.languages["en"].systems["model"].mean.accuracy > 0.7
    assert report.languages["en"].systems["words"].mean.accuracy == 1.0
    assert report.mean("model", report.targets) is not None
    assert report.mean("nobody", report.targets) is None


def test_the_scores_are_those_of_the_saved_model(
    report: ClassificationReport, experiment: Experiment
) -> None:
    opened = open_finetuned(experiment.out)
    assert opened.state.step == report.step[0]
    data = labelled(experiment.languages["de"], opened.config, opened.tokenizer)
    logits = logits_of(opened.model, data.inputs, torch.device("cpu"))
    right = (logits.argmax(dim=1) == data.targets).double().mean()
    assert report.languages["de"].systems["model"].by_seed[0] == pytest.approx(float(right))


def test_what_it_leaves(report: ClassificationReport, experiment: Experiment) -> None:
    run = RunDirectory(experiment.out)
    assert ClassificationReport.load(run.classification) == report
    assert json.loads(report.to_json())["run"] == "animals"
    table = run.classification_table.read_text(encoding="utf-8")
    assert "| en English |" in table
    assert "mostly taken for" in table
    for picture in (run.classification_plot, run.confusion_plot):
        assert picture.read_bytes().startswith(b"\x89PNG")
    for name in ("seeds/1", "baselines/untrained", "baselines/bag"):
        assert (experiment.out / name / "config.toml").is_file()


@pytest.mark.slow
def test_the_same_call_finds_everything_done(
    report: ClassificationReport, experiment: Experiment, listening: Listening
) -> None:
    again = listening()
    assert run_experiment(experiment, again) == report
    assert again.console.export_text().count("training: complete") == 4


@pytest.mark.slow
def test_a_call_that_was_interrupted_goes_on(
    report: ClassificationReport, experiment: Experiment, listening: Listening, tmp_path: Path
) -> None:
    elsewhere = replace(experiment, out=tmp_path / "animals")
    steps: list[int] = []

    def interrupt(step: int) -> None:
        steps.append(step)
        if len(steps) == 9:  # in the second seed
            signal.raise_signal(signal.SIGINT)

    assert run_experiment(elsewhere, listening(interrupt)) is None
    assert run_experiment(elsewhere, listening()) == report


def test_the_oracle_is_the_best_of_all_evaluations(
    report: ClassificationReport, experiment: Experiment
) -> None:
    run = RunDirectory(experiment.out)
    watched = json.loads((run.path / "watched.json").read_text(encoding="utf-8"))
    assert list(watched) == ["6", "12", "18"]
    gaps = oracle_gaps(run, report.step[0], {"de": 10})
    assert gaps["de"].chosen == watched[str(report.step[0])]["de"]
    assert gaps["de"].best == max(one["de"] for one in watched.values())
    assert oracle_gaps(run, 7, {}) == {}


def test_vectors_and_logits_do_not_depend_on_the_batch(
    finetuned: Path, labelled_tests: list[LabelledText]
) -> None:
    opened, cpu = open_finetuned(finetuned), torch.device("cpu")
    texts = labelled(labelled_tests, opened.config, opened.tokenizer).inputs
    whole = logits_of(opened.model, texts, cpu)
    torch.testing.assert_close(logits_of(opened.model, texts, cpu, batch_tokens=9), whole)
    with torch.no_grad():
        torch.testing.assert_close(opened.model.head(vectors_of(opened.model, texts, cpu)), whole)
    assert probabilities_of(whole, False).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert probabilities_of(whole, True) == pytest.approx(1 / (1 + np.exp(-whole.numpy())), abs=1e-6)
