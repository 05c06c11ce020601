"""From labelled examples to the settings of a fine-tuning run: what is held out, and how long it trains."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from xformer.data.labelled import Example
from xformer.errors import InputError
from xformer.finetuning.base import base_of, fitted_to
from xformer.finetuning.config import (
    ClassifierConfig,
    ConsistencyConfig,
    FinetuningConfig,
    FinetuningOptimizer,
)
from xformer.finetuning.finetune import SourceExamples, split_off
from xformer.runs.config import TrainingConfig
from xformer.runs.duration import seconds
from xformer.storage.toml import overridden

E = TypeVar("E", bound=Example)

_DEV_SHARE = 0.1
"""Of the training examples, held out where none are given for that."""

_OPTIONS = {
    "training.steps": "--epochs",
    "training.budget": "--budget",
    "training.evaluate_steps": "--evaluate-every",
    "training.patience": "--patience",
}
"""Settings that follow from options, which count in epochs."""


@dataclass(frozen=True)
class Length:
    """How long a run trains, and how often it is evaluated.

    Attributes:
        epochs: how often each training example is read.
        budget: training time, as 90s, 10m, 1.5h, instead.
        evaluate_every: epochs between evaluations on held-out examples.
        patience: end after so many evaluations without a better one.
    """

    epochs: float = 3.0
    budget: str | None = None
    evaluate_every: float = 0.5
    patience: int | None = None


def source_examples(train: Sequence[E], dev: Sequence[E] | None) -> SourceExamples[E]:
    """The examples to learn from, and those by which checkpoints are compared.

    Args:
        train: at least one.
        dev: None for a tenth of the training examples, drawn at random.

    Raises:
        InputError: there is only one example, or one of `dev` is in a language that `train` has not.
    """
    if dev is None:
        if len(train) < 2:
            lacking = "expected two examples or more, since one is held out, or --dev"
            raise InputError(f"{train[0].place}: {lacking}")
        return SourceExamples(*split_off(train, _DEV_SHARE))
    sources = {one.language for one in train}
    for one in dev:
        if one.language not in sources:
            raise InputError(
                f"{one.place}: --dev is in {one.language}; expected examples in the languages of --train"
                f" ({', '.join(sorted(sources))}), since checkpoints are chosen by them. Those of other"
                " languages belong to --test"
            )
    return SourceExamples(train, dev)


def seen_in_training(train: Sequence[Example], tests: Sequence[Example]) -> int:
    """How many test examples read the same as one that is learned from, but for spaces at their ends."""
    seen = {_stripped(one) for one in train}
    return sum(_stripped(one) in seen for one in tests)


def _stripped(one: Example) -> str | tuple[str, ...]:
    content = one.content
    return content.strip() if isinstance(content, str) else tuple(part.strip() for part in content)


def settings_for(
    base: str | os.PathLike[str],
    out: str | os.PathLike[str],
    classifier: ClassifierConfig,
    n_train: int,
    length: Length,
    consistency: ConsistencyConfig | None = None,
    changes: Sequence[str] = (),
) -> FinetuningConfig:
    """The settings of a run: those of the pretrained run, of what is predicted, and changes.

    Args:
        base: folder of the pretrained run.
        out: folder of the new run, which may have begun.
        classifier: what is predicted.
        n_train: training examples.
        length: of the run.
        consistency: of translations without labels; None for none.
        changes: `TABLE.KEY=VALUE` with TOML values, as of `--set`.

    Raises:
        InputError: there is no such run, a change is unknown or out of range, or the length is no length.
    """
    for change in changes:
        if (option := _OPTIONS.get(change.partition("=")[0].strip())) is not None:
            raise InputError(f"--set {change}: this is what {option} says; expected that instead")
    found, model = base_of(base, out)
    if length.budget is not None:
        try:
            seconds(length.budget, "--budget")
        except ValueError as error:
            raise InputError(str(error)) from error
    training = TrainingConfig(budget=None, steps=1, keep_checkpoints=1)
    config = FinetuningConfig(
        found,
        model,
        fitted_to(found, classifier),
        FinetuningOptimizer() if found.family == "own" else FinetuningOptimizer.of_imported(),
        consistency or ConsistencyConfig(),
        training,
    )
    config = overridden(asdict(config), changes, FinetuningConfig, source="--set")
    an_epoch = math.ceil(n_train / config.classifier.batch_texts)
    return replace(
        config,
        training=replace(
            config.training,
            budget=length.budget,
            steps=None if length.budget else max(1, round(length.epochs * an_epoch)),
            evaluate_steps=max(1, round(length.evaluate_every * an_epoch)),
            patience=length.patience,
        ),
    )
