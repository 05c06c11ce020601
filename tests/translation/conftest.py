"""A tiny translator between numbers in three languages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xformer.data.translated import Direction, TranslatedTexts, split_groups
from xformer.progress import Progress
from xformer.translation.config import TranslationConfig
from xformer.translation.setup import Length, settings_for
from xformer.translation.train import TranslationTexts, train_translator

NUMBERS = {
    "en": ["one", "two", "three", "four", "five", "six"],
    "de": ["eins", "zwei", "drei", "vier", "fünf", "sechs"],
    "fr": ["un", "deux", "trois", "quatre", "cinq", "six"],
}
TINY = [
    *(
        f"{half}.{name}"
        for half in ("encoder", "decoder")
        for name in ("d_model=32", "d_ff=32", "n_layers=1")
    ),
    *(f"{half}.{name}" for half in ("encoder", "decoder") for name in ("dropout=0.05", "init_std=0.18")),
    "training.precision=fp32",
    "training.log_steps=5",
    "training.trackers=[]",
    "tokenizer.threads=1",
    "translation.batch_tokens=400",
    "translation.max_tokens=40",
    "translation.dev_pairs=10",
    "translation.averaging=0.9",
    "optimizer.lr=1.5e-2",
]
DIRECTIONS = [Direction("en", "de"), Direction("en", "fr"), Direction("fr", "en")]


def numbers(size: int, seed: int = 0) -> TranslatedTexts:
    """Sequences of numbers in all languages; every fifth lacks French."""
    rng, texts = np.random.default_rng(seed), TranslatedTexts()
    for group in range(size):
        row = rng.integers(6, size=rng.integers(1, 3))
        for language, words in NUMBERS.items():
            if language != "fr" or group % 5:
                texts.add(" ".join(words[place] for place in row), language, group)
    return texts


def tiny_settings(out: Path, steps: int, *changes: str, base: Path | None = None) -> TranslationConfig:
    """Settings of a run that takes a second or two."""
    vocabulary = None if base else 320
    return settings_for(
        base,
        out,
        DIRECTIONS,
        Length(None, steps, evaluate_steps=max(1, steps // 3)),
        vocabulary=vocabulary,
        changes=(*(TINY if base is None else TINY[10:]), *changes),
    )


@pytest.fixture(scope="session")
def parallel() -> TranslationTexts:
    return TranslationTexts(*split_groups(numbers(400), 0.05, 20))


@pytest.fixture(scope="session")
def translator_run(tmp_path_factory: pytest.TempPathFactory, parallel: TranslationTexts) -> Path:
    """A translator that has learned its numbers."""
    path = tmp_path_factory.mktemp("translator") / "run"
    with Progress() as progress:
        assert train_translator(path, tiny_settings(path, 150), parallel, progress)
    return path
