"""Pairs of synthetic sentences, which are translations or not, and sentences of words in two languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.synthetic_labels import sentences
from xformer.data.labelled import LabelledPair, LabelledWords
from xformer.finetuning.config import ClassifierConfig, FinetuningConfig
from xformer.finetuning.finetune import SourceExamples


def pairs_in(one: str, other: str, step: int = 1, first: int = 0) -> list[LabelledPair]:
    """Each sentence with its translation, and with one whose animal is another."""
    found = []
    texts = list(zip(sentences(one), sentences(other), strict=True))
    for number in range(first, len(texts), step):
        (a, b), (_, wrong) = texts[number], texts[(number + 24) % len(texts)]
        place = f"{one}-{other}:{number + 1}"
        found.append(LabelledPair(a.text, b.text, ("same",), (one, other), place))
        found.append(LabelledPair(a.text, wrong.text, ("other",), (one, other), place))
    return found


def words_in(one: str, other: str, step: int = 1, first: int = 0) -> list[LabelledWords]:
    """Sentences whose words are of one language or the other by the toss of a coin, with their languages."""
    rng, found = np.random.default_rng(0), []
    texts = list(zip(sentences(one), sentences(other), strict=True))
    for number in range(first, len(texts), step):
        both = [(a, b) for a, b in zip(*(each.text.split() for each in texts[number]), strict=True)]
        choice = rng.integers(0, 2, size=len(both)).tolist()
        words = tuple(both[at][which] for at, which in enumerate(choice))
        tags = tuple((one, other)[which] for which in choice)
        found.append(LabelledWords(words, tags, f"{one}+{other}", "mixed", number + 1))
    return found


def pair_config(finetuning: FinetuningConfig, **changes: Any) -> FinetuningConfig:
    """Settings of a run for pairs."""
    classifier = ClassifierConfig(("other", "same"), example="pair", batch_texts=16, **changes)
    return replace(finetuning, classifier=classifier)


def words_config(finetuning: FinetuningConfig, **changes: Any) -> FinetuningConfig:
    """Settings of a run for words."""
    labels = ("de", "en")
    classifier = ClassifierConfig(labels, example="words", coordinates="all", batch_texts=16, **changes)
    return replace(finetuning, classifier=classifier)


@pytest.fixture(scope="session")
def paired(
    finetuning: FinetuningConfig,
    tmp_path_factory: pytest.TempPathFactory,
    listening: Callable[..., Any],
) -> Path:
    """A complete run for pairs."""
    from xformer.finetuning.finetune import finetune

    path = tmp_path_factory.mktemp("paired") / "pairs"
    examples = SourceExamples(pairs_in("en", "de", 2), pairs_in("en", "de", 4, 1))
    assert finetune(path, pair_config(finetuning), examples, listening())
    return path


@pytest.fixture(scope="session")
def tagged(
    finetuning: FinetuningConfig,
    tmp_path_factory: pytest.TempPathFactory,
    listening: Callable[..., Any],
) -> Path:
    """A complete run for words."""
    from xformer.finetuning.finetune import finetune

    path = tmp_path_factory.mktemp("tagged") / "languages"
    examples = SourceExamples(words_in("en", "de", 2), words_in("en", "de", 4, 1))
    assert finetune(path, words_config(finetuning), examples, listening())
    return path
