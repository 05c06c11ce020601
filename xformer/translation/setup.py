"""From texts and options to the settings of a translation run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xformer.data.translated import Direction, TranslatedTexts
from xformer.errors import InputError
from xformer.pretraining.pretrained import open_pretrained
from xformer.runs.config import TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.duration import seconds
from xformer.runs.kind import task_of
from xformer.storage.toml import overridden
from xformer.tokenizer import TokenizerOptions
from xformer.translation.config import (
    OriginConfig,
    Targets,
    TranslationConfig,
    TranslationOptions,
    small_marian,
)

PRETRAINED_DROPOUT = 0.1
"""Of both halves, where the encoder is pretrained: translators learn from fewer texts."""

USUAL: dict[Targets, dict[str, Any]] = {
    "translation": {},
    "summarization": {"max_tokens": 256, "max_target_tokens": 64, "batch_tokens": 4_096},
}
"""Settings of each task that are not those of `TranslationOptions`."""

_OPTIONS = {
    "training.steps": "--steps",
    "training.budget": "--budget",
    "training.evaluate_steps": "--evaluate-steps",
    "training.patience": "--patience",
    "translation.directions": "--directions",
    "translation.task": "the command",
}


@dataclass(frozen=True)
class Length:
    """How long a run trains, and how often it is evaluated.

    Attributes:
        budget: training time, as 90s, 10m, 1.5h; None where `steps` is set.
        steps: number of steps.
        evaluate_steps: steps between evaluations on the dev sample.
        patience: end after so many evaluations without a better one.
    """

    budget: str | None = "30m"
    steps: int | None = None
    evaluate_steps: int = 250
    patience: int | None = None


def settings_for(
    base: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    directions: Sequence[Direction],
    length: Length,
    *,
    vocabulary: int | None = None,
    decoder_layers: int | None = None,
    task: Targets = "translation",
    changes: Sequence[str] = (),
) -> TranslationConfig:
    """The settings of a run.

    Args:
        base: folder of a pretrained run; None for random weights and a vocabulary of its own.
        out: folder of the new run, which may have begun.
        directions: what is learned.
        length: of the run.
        vocabulary: pieces of the vocabulary of its own; None for what suits the amount of text.
        decoder_layers: number of the decoder's blocks; None for as many as the encoder has.
        task: what is written of a text.
        changes: `TABLE.KEY=VALUE` with TOML values, as of `--set`.

    Raises:
        InputError: there is no such run, a change is unknown or out of range, or the length is no length.
    """
    for change in changes:
        if (option := _OPTIONS.get(change.partition("=")[0].strip())) is not None:
            raise InputError(f"--set {change}: this is what {option} says; expected that instead")
    if length.budget is not None:
        try:
            seconds(length.budget, "--budget")
        except ValueError as error:
            raise InputError(str(error)) from error
    begun = RunDirectory(Path(out))
    if begun.config.is_file() and task_of(begun) == task:
        old = begun.load_config(TranslationConfig)
        if old.origin.run != (None if base is None else os.fspath(base)):
            raise InputError(
                f"{begun.config}: this run began from {old.origin.run or 'random weights'}, not"
                f" {base or 'random weights'}. Give the same, or another run directory"
            )
        origin = OriginConfig(old.origin.run, old.origin.step)
        encoder = replace(old.encoder, vocab_size=None)
    elif base is not None:
        opened = open_pretrained(base)
        origin = OriginConfig(os.fspath(base), opened.state.step)
        # How many rows there are is known when those of tags are. Bigrams are found by a hash of that number.
        pretrained = opened.settings.model
        encoder = replace(pretrained, vocab_size=None, dropout=PRETRAINED_DROPOUT, bigrams=0)
    else:
        origin, encoder = OriginConfig(), small_marian()
    if base is not None and vocabulary is not None:
        raise InputError(f"--vocabulary: the vocabulary is that of {base}; `xformer vocabulary` changes it")
    try:
        depth = encoder.n_layers if decoder_layers is None else decoder_layers
        decoder = replace(encoder, n_layers=depth, bigrams=0, head_activation_norm=False)
        config = TranslationConfig(
            origin,
            encoder,
            decoder,
            TranslationOptions(tuple(map(str, directions)), task, **USUAL[task]),
            TokenizerOptions(vocabulary_size=vocabulary),
            training=TrainingConfig(
                budget=None if length.steps else length.budget,
                steps=length.steps,
                evaluate_steps=length.evaluate_steps,
                patience=length.patience,
                keep_checkpoints=1,
            ),
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    return overridden(asdict(config), changes, TranslationConfig, source="--set")


def seen_in_training(train: TranslatedTexts, tests: TranslatedTexts) -> int:
    """How many test texts read the same as one that is learned from, but for spaces at their ends."""
    seen = {text.strip() for text in train.texts}
    return sum(text.strip() in seen for text in tests.texts)
