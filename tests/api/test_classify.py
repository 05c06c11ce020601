"""Labels in Python. Covers the opening of fine-tuned runs in xformer.api.opening."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xformer
from xformer.data.labelled import LabelledText
from xformer.errors import InputError
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.finetune import SourceExamples, finetune, labelled
from xformer.finetuning.load import open_finetuned
from xformer.finetuning.predict import logits_of, probabilities_of
from xformer.runs.checkpoint import best_checkpoint
from xformer.runs.directory import RunDirectory


def test_texts_get_labels_in_their_order(finetuned: Path, labelled_tests: list[LabelledText]) -> None:
    model, opened = xformer.load(finetuned), open_finetuned(finetuned)
    texts = [one.text for one in labelled_tests]
    found = model.classify(texts)
    data = labelled(labelled_tests, opened.config, opened.tokenizer)
    logits = logits_of(opened.model, data.inputs, model.device)
    expected = probabilities_of(logits, False, opened.temperature)
    assert model.labels == ("bird", "cat", "dog", "fox", "horse")
    assert [one.label for one in found] == [model.labels[place] for place in expected.argmax(axis=1)]
    for one, row in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(
            dict(zip(model.labels, row.tolist(), strict=True)), abs=1e-5
        )
        assert list(one.probabilities.values()) == sorted(one.probabilities.values(), reverse=True)
        assert one.labels == (next(iter(one.probabilities)),)
    np.testing.assert_allclose(model.class_probabilities(iter(texts)), expected, atol=1e-5)
    assert model.classify(texts[0]).labels == found[0].labels


def test_any_text_gets_a_label_and_no_text_gets_none(finetuned: Path) -> None:
    model = xformer.load(finetuned)
    assert model.classify([]) == []
    odd = ["", "\n", "🙂", "dog sees house " * 400]
    assert len(model.classify(odd)) == 4
    assert model.classify(odd)[3].label == "dog"
    with pytest.raises(InputError, match=r"texts\[1\]: expected a string, got 3"):
        model.classify(["a", 3])  # type: ignore[list-item]


def test_it_is_the_checkpoint_that_was_chosen_and_it_encodes(finetuned: Path) -> None:
    model, best = xformer.load(finetuned), best_checkpoint(RunDirectory(finetuned).checkpoints)
    assert best is not None
    assert model.step == best.state.step
    assert xformer.load(finetuned, checkpoint="newest").step == 18
    vectors = model.encode(["dog sees house", "Hund sieht Haus"])
    assert vectors.shape == (2, model.dim)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(InputError, match="fine-tuning keeps no masked-LM head"):
        model.fill_mask("a <mask>")


def test_a_pretrained_run_has_no_labels(trained: RunDirectory) -> None:
    model = xformer.load(trained.path)
    for ask in (lambda: model.classify("x"), lambda: model.labels, lambda: model.class_probabilities(["x"])):
        with pytest.raises(InputError, match="this run has no labels; `xformer finetune classify"):
            ask()


def test_several_labels_or_none(
    with_classifier: Callable[..., FinetuningConfig],
    source_texts: SourceExamples[LabelledText],
    listening: Callable[..., Any],
    tmp_path: Path,
) -> None:
    assert finetune(tmp_path / "several", with_classifier(multi_label=True), source_texts, listening())
    model = xformer.load(tmp_path / "several")
    for one in model.classify([text.text for text in source_texts.dev]):
        assert one.labels == tuple(label for label, p in one.probabilities.items() if p > 0.5)
        assert one.label == (one.labels[0] if one.labels else None)
