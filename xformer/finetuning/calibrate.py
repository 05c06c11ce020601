"""Find the temperature of a run's best checkpoint, once."""

from __future__ import annotations

from collections.abc import Callable

import torch

from xformer.finetuning.batches import Examples
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.load import open_finetuned
from xformer.finetuning.predict import logits_of
from xformer.finetuning.temperature import Temperature, record_temperature, recorded_temperature
from xformer.progress import Progress
from xformer.runs.checkpoint import best_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.tokenizer.interface import TextTokenizer


def calibrate(
    run: RunDirectory,
    held_out: Callable[[FinetuningConfig, TextTokenizer], Examples],
    progress: Progress,
    device: torch.device | None = None,
) -> Temperature | None:
    """The temperature of the run's best checkpoint, found and recorded if it is not there.

    Args:
        run: a fine-tuned run.
        held_out: makes the held-out texts of its source languages; not called where they are not needed.
        progress: where to say what was found.
        device: by default a GPU if there is one.

    Returns:
        It; None while the run has no checkpoint that held-out texts were tried on.
    """
    best = best_checkpoint(run.checkpoints)
    if best is None:
        return None
    if (known := recorded_temperature(run, best.state.step)) is not None:
        return known
    opened = open_finetuned(run.path)
    data = held_out(opened.config, opened.tokenizer)
    if not len(data):
        return None
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    logits = logits_of(opened.model.to(device), data.inputs, device, what="calibrate", progress=progress)
    classifier = opened.config.classifier
    truth = data.truth(len(classifier.labels))
    found = Temperature.of(opened.state.step, logits, truth, classifier.multi_label)
    record_temperature(run, found)
    progress.say(
        f"calibration: temperature {found.temperature:.2f}, by {found.texts:,} held-out texts, of which the"
        f" expected calibration error goes from {found.ece_before:.3f} to {found.ece:.3f}"
    )
    return found
