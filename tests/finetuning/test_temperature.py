"""The temperature of a classifier. Covers xformer.finetuning.calibrate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import xformer
from xformer.data.labelled import LabelledText
from xformer.finetuning.calibrate import calibrate
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.finetune import SourceExamples, finetune, labelled
from xformer.finetuning.load import open_finetuned
from xformer.finetuning.predict import logits_of, probabilities_of
from xformer.finetuning.temperature import (
    Temperature,
    fit_temperature,
    record_temperature,
    recorded_temperature,
)
from xformer.runs.directory import RunDirectory


def drawn(temperature: float, several: bool, texts: int = 20_000) -> tuple[torch.Tensor, np.ndarray]:
    """Logits, and labels drawn from what they say at a temperature."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(texts, 4)) * 3
    scaled = torch.from_numpy(logits / temperature)
    if several:
        return torch.from_numpy(logits), rng.random((texts, 4)) < scaled.sigmoid().numpy()
    upto = scaled.softmax(dim=1).numpy().cumsum(axis=1)
    chosen = (rng.random((texts, 1)) > upto).sum(axis=1).clip(max=3)
    return torch.from_numpy(logits), np.eye(4, dtype=bool)[chosen]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_it_is_found_again_where_labels_are_drawn_with_it(temperature: float, several: bool) -> None:
    logits, truth = drawn(temperature, several)
    assert fit_temperature(logits, truth, several) == pytest.approx(temperature, rel=0.03)
    found = Temperature.of(7, logits, truth, several)
    assert (found.step, found.texts) == (7, 20_000)
    assert found.log_loss <= found.log_loss_before
    assert found.ece < 0.02
    if temperature == 2.5 and not several:
        assert found.ece_before > 0.1


def test_it_is_where_the_derivative_vanishes() -> None:
    logits, truth = drawn(1.7, False, 200)
    log = torch.tensor(np.log(fit_temperature(logits, truth, False)), requires_grad=True)
    # Each label has 201 of 202, and the other three share the rest.
    targets = torch.full((200, 4), 1 / 202 / 3).double()
    targets[torch.from_numpy(truth)] = 201 / 202
    torch.nn.functional.cross_entropy(logits / log.exp(), targets, reduction="sum").backward()
    assert log.grad is not None
    assert abs(float(log.grad)) < 1e-3


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=6), st.booleans())
def test_a_few_texts_give_a_finite_one(answers: list[tuple[int, bool]], several: bool) -> None:
    logits = torch.tensor([[5.0 * (place == label) for place in range(3)] for label, _ in answers])
    logits = logits.reshape(len(answers), 3)
    rows = [np.roll(np.eye(3, dtype=bool)[label], not right) for label, right in answers]
    truth = np.array(rows, dtype=bool).reshape(len(answers), 3)
    found = fit_temperature(logits, truth, several)
    assert 0.04 < found < 21
    if not answers:
        assert found == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("n", [1, 4, 50])
def test_answers_that_are_all_right_are_as_sure_as_their_number_says(n: int) -> None:
    logits = torch.tensor([[2.0, 0.0]] * n)
    truth = np.array([[True, False]] * n)
    p = (logits.double() / fit_temperature(logits, truth, False)).softmax(dim=1)[0, 0]
    assert float(p) == pytest.approx((n + 1) / (n + 2), abs=1e-4)
    several = np.array([[True, False]] * n)
    chosen = (
        torch.tensor([[2.0, -2.0]] * n).double()
        / fit_temperature(torch.tensor([[2.0, -2.0]] * n), several, True)
    ).sigmoid()[0]
    assert chosen.tolist() == pytest.approx([(n + 1) / (n + 2), 1 / (n + 2)], abs=1e-4)


def test_a_complete_run_has_one_that_no_label_depends_on(
    finetuned: Path, source_texts: SourceExamples[LabelledText]
) -> None:
    opened = open_finetuned(finetuned)
    kept = recorded_temperature(opened.run, opened.state.step)
    assert kept is not None
    assert opened.temperature == kept.temperature != 1.0
    data = labelled(source_texts.dev, opened.config, opened.tokenizer)
    logits = logits_of(opened.model, data.inputs, torch.device("cpu"))
    assert kept == Temperature.of(opened.state.step, logits, data.truth(5), False)
    model, texts = xformer.load(finetuned), [one.text for one in source_texts.dev]
    assert model.temperature == kept.temperature
    expected = probabilities_of(logits, False, kept.temperature)
    np.testing.assert_allclose(model.class_probabilities(texts), expected, atol=1e-5)
    raw = model.class_probabilities(texts, calibrated=False)
    np.testing.assert_allclose(raw, probabilities_of(logits, False), atol=1e-5)
    assert not np.allclose(raw, expected, atol=1e-3)
    assert [one.label for one in model.classify(texts)] == [
        one.label for one in model.classify(texts, calibrated=False)
    ]


def test_it_belongs_to_one_checkpoint_and_is_found_again_where_it_is_lost(
    finetuned: Path, source_texts: SourceExamples[LabelledText], listening: Callable[..., Any], tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path)
    assert calibrate(run, lambda config, tokenizer: pytest.fail("not needed"), listening()) is None
    step = open_finetuned(finetuned).state.step
    kept = recorded_temperature(RunDirectory(finetuned), step)
    assert kept is not None
    record_temperature(run, kept)
    assert recorded_temperature(run, step) == kept
    assert recorded_temperature(run, step + 1) is None
    for damaged in ("", "[]", json.dumps({"step": step}), "{"):
        run.calibration.write_text(damaged, encoding="utf-8")
        assert recorded_temperature(run, step) is None


def test_an_earlier_checkpoint_s_is_replaced(
    finetuning: FinetuningConfig,
    finetuned: Path,
    source_texts: SourceExamples[LabelledText],
    listening: Callable[..., Any],
    tmp_path: Path,
) -> None:
    step = open_finetuned(finetuned).state.step
    kept = recorded_temperature(RunDirectory(finetuned), step)
    assert kept is not None
    run = RunDirectory(tmp_path / "run")
    assert finetune(run.path, finetuning, source_texts, listening())
    record_temperature(run, replace(kept, step=3, temperature=9.0))
    assert open_finetuned(run.path).temperature == 1.0
    again = listening()
    assert finetune(run.path, finetuning, source_texts, again)
    assert "calibration: temperature" in again.console.export_text()
    assert recorded_temperature(run, step) == kept
