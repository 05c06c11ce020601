"""Labelled sentences of the synthetic corpus, and settings for a run of seconds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.synthetic_runs import WORDS
from xformer.data.labelled import LabelledText
from xformer.finetuning.base import base_of
from xformer.finetuning.config import ClassifierConfig, FinetuningConfig, FinetuningOptimizer
from xformer.finetuning.finetune import SourceExamples
from xformer.runs.config import TrainingConfig
from xformer.runs.directory import RunDirectory

ANIMALS = ("dog", "cat", "bird", "horse", "fox")


def sentences(language: str) -> list[LabelledText]:
    """All sentences of a language; the label is the animal, in English."""
    parts = [words.split() for words in WORDS[language]]
    animals = dict(zip(parts[0], ANIMALS, strict=True))
    return [
        LabelledText(" ".join(words), (animals[words[0]],), language, f"{language}:{number}")
        for number, words in enumerate(itertools.product(*parts), 1)
    ]


@pytest.fixture(scope="session")
def source_texts() -> SourceExamples[LabelledText]:
    texts = sentences("en")
    return SourceExamples([one for n, one in enumerate(texts) if n % 5], texts[::5])


@pytest.fixture(scope="session")
def labelled_tests() -> list[LabelledText]:
    return [one for language in WORDS for one in sentences(language)[::3]]


@pytest.fixture(scope="session")
def finetuning(trained: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> FinetuningConfig:
    """Three epochs of six steps, with an evaluation in each."""
    base, model = base_of(trained.path, tmp_path_factory.mktemp("none") / "new")
    return FinetuningConfig(
        base,
        model,
        ClassifierConfig(tuple(sorted(ANIMALS)), batch_texts=16),
        FinetuningOptimizer(lr=3e-3, head_lr=1e-2),
        training=TrainingConfig(
            budget=None,
            steps=18,
            precision="fp32",
            checkpoint_every=1e6,
            keep_checkpoints=1,
            evaluate_steps=6,
            log_steps=3,
            trackers=(),
        ),
    )


@pytest.fixture(scope="session")
def with_classifier(finetuning: FinetuningConfig) -> Callable[..., FinetuningConfig]:
    def changed(**changes: object) -> FinetuningConfig:
        return replace(finetuning, classifier=replace(finetuning.classifier, **changes))  # type: ignore[arg-type]

    return changed


@pytest.fixture(scope="session")
def finetuned(
    finetuning: FinetuningConfig,
    source_texts: SourceExamples[LabelledText],
    tmp_path_factory: pytest.TempPathFactory,
    listening: Callable[..., object],
) -> Path:
    """A complete run."""
    from xformer.finetuning.finetune import finetune

    path = tmp_path_factory.mktemp("finetuned") / "animals"
    assert finetune(path, finetuning, source_texts, listening())  # type: ignore[arg-type]
    return path
