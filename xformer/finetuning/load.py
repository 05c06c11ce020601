"""A fine-tuned run from disk."""

from __future__ import annotations

import os
from dataclasses import dataclass

from xformer.errors import InputError
from xformer.finetuning.base import blank_model
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.temperature import recorded_temperature
from xformer.pretraining.pretrained import open_text_tokenizer
from xformer.runs.checkpoint import TrainingState
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.kind import CLASSIFICATION, task_of
from xformer.runs.opening import Which, open_checkpoint
from xformer.tokenizer.interface import TextTokenizer


@dataclass(frozen=True)
class FinetunedRun:
    """A fine-tuned run, opened.

    Attributes:
        run: its folder.
        config: its settings.
        tokenizer: of the pretrained run.
        model: with the weights of a checkpoint, in evaluation mode, on the host.
        state: of the checkpoint.
        temperature: what logits are divided by; 1 where none was found for this checkpoint.
    """

    run: RunDirectory
    config: FinetuningConfig
    tokenizer: TextTokenizer
    model: FinetunedModel
    state: TrainingState
    temperature: float = 1.0


def open_finetuned(path: str | os.PathLike[str], which: Which = "best") -> FinetunedRun:
    """Open a fine-tuned run.

    Args:
        path: its folder.
        which: the checkpoint; the best one had the fewest wrong answers on held-out texts of the source
            languages.

    Raises:
        InputError: there is no fine-tuned run, or it has no such checkpoint.
    """
    run = find_run(path)
    if (task := task_of(run)) != CLASSIFICATION:
        raise InputError(
            f"{path}: expected a run that was fine-tuned to classify, it is one of {task};"
            f" `xformer finetune classify {path} --train FILES --out NEW` makes one from it"
        )
    config, tokenizer = run.load_config(FinetuningConfig), open_text_tokenizer(run)
    checkpoint = open_checkpoint(run, which)
    model = blank_model(config)
    checkpoint.load_model(model)
    found = recorded_temperature(run, checkpoint.state.step)
    temperature = 1.0 if found is None else found.temperature
    return FinetunedRun(run, config, tokenizer, model.eval(), checkpoint.state, temperature)
