"""A short translation run on synthetic sentences, for commands that check training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from xformer.data.translated import Direction, TranslatedTexts, split_groups
from xformer.pretraining.synthetic_data import synthetic_records
from xformer.progress import Progress
from xformer.translation.config import TranslationConfig
from xformer.translation.setup import Length, settings_for
from xformer.translation.train import TranslationTexts, train_translator

_SMALL = ("d_model=16", "d_ff=16", "n_layers=1", "n_heads=2", "init_std=0.25")


def synthetic_texts() -> TranslationTexts:
    """The English and German sentences of the synthetic corpus."""
    texts, numbers = TranslatedTexts(), dict[str, int]()
    for one in synthetic_records():
        if one.language in ("en", "de"):
            texts.add(one.text, one.language, numbers.setdefault(one.group, len(numbers)))
    return TranslationTexts(*split_groups(texts, 0.1, 20))


def synthetic_translation(folder: Path, steps: int) -> TranslationConfig:
    """The settings of a run on them.

    Args:
        folder: where the run will be.
        steps: its length.
    """
    halves = [f"{half}.{name}" for half in ("encoder", "decoder") for name in _SMALL]
    options = ["tokenizer.threads=1", "translation.batch_tokens=300", "translation.dev_pairs=3"]
    length = Length(None, steps, evaluate_steps=max(1, steps // 6))
    directions = [Direction("en", "de"), Direction("de", "en")]
    found = settings_for(None, folder, directions, length, vocabulary=300, changes=[*halves, *options])
    training = replace(
        found.training, precision="fp32", log_steps=2, spike_factor=1.5, non_finite="skip", keep_checkpoints=2
    )
    return replace(found, training=training)


def translate_synthetic(path: Path, config: TranslationConfig, progress: Progress) -> bool:
    """Train such a run from wherever it is; whether it is complete."""
    return train_translator(path, config, synthetic_texts(), progress)
