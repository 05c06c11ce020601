"""A short fine-tuning run on synthetic sentences, for commands that check training."""

from __future__ import annotations

from pathlib import Path

from xformer.data.labelled import LabelledText
from xformer.finetuning.base import base_of
from xformer.finetuning.config import ClassifierConfig, FinetuningConfig
from xformer.finetuning.finetune import SourceExamples, finetune
from xformer.pretraining.pretrain import pretrain
from xformer.pretraining.synthetic_data import synthetic_config, synthetic_corpus, synthetic_records
from xformer.progress import Progress
from xformer.runs.config import TrainingConfig

_BASE_STEPS = 4


def synthetic_examples() -> SourceExamples[LabelledText]:
    """The English and German sentences of the synthetic corpus; the label is the subject, in its language."""
    texts = [
        LabelledText(one.text, (one.text.split()[0],), one.language, f"{one.source}: {one.group}")
        for one in synthetic_records()
        if one.language in ("en", "de")
    ]
    return SourceExamples([one for number, one in enumerate(texts) if number % 5], texts[::5])


def synthetic_finetuning(folder: Path, steps: int, progress: Progress) -> FinetuningConfig:
    """Pretrain a tiny encoder for some steps; the settings of a run that fine-tunes it.

    Args:
        folder: for the corpus and the pretrained run.
        steps: length of the fine-tuning run.
        progress: where to report.
    """
    base = folder / "base"
    pretrain(base, synthetic_config(synthetic_corpus(folder / "corpus"), _BASE_STEPS), progress)
    found, model = base_of(base, folder / "none")
    labels = {label for one in synthetic_examples().train for label in one.labels}
    return FinetuningConfig(
        found,
        model,
        ClassifierConfig(tuple(sorted(labels)), batch_texts=16),
        training=TrainingConfig(
            budget=None,
            steps=steps,
            precision="fp32",
            log_steps=2,
            evaluate_steps=max(1, steps // 6),
            spike_factor=1.5,
            non_finite="skip",
        ),
    )


def finetune_synthetic(path: Path, config: FinetuningConfig, progress: Progress) -> bool:
    """Train such a run from wherever it is; whether it is complete."""
    return finetune(path, config, synthetic_examples(), progress)
