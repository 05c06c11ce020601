"""A translation run from disk."""

from __future__ import annotations

import os
from dataclasses import dataclass

from xformer.errors import InputError
from xformer.model.seq2seq import Seq2Seq
from xformer.pretraining.pretrained import open_text_tokenizer
from xformer.runs.checkpoint import TrainingState, verified_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.kind import SUMMARIZATION, TRANSLATION, task_of
from xformer.runs.opening import Which, open_checkpoint
from xformer.tokenizer.interface import TextTokenizer
from xformer.training.averaging import load_averages
from xformer.translation.config import TranslationConfig
from xformer.translation.encoded import Vocabulary
from xformer.translation.model import blank_model


@dataclass(frozen=True)
class TranslationRun:
    """A translation run, opened.

    Attributes:
        run: its folder.
        config: its settings.
        tokenizer: of its texts.
        vocabulary: the ids that it adds to those of the tokenizer.
        model: with the weights of a checkpoint, averaged if the run averages, in evaluation mode, on the
            host.
        state: of the checkpoint.
    """

    run: RunDirectory
    config: TranslationConfig
    tokenizer: TextTokenizer
    vocabulary: Vocabulary
    model: Seq2Seq
    state: TrainingState


def open_translation(path: str | os.PathLike[str], which: Which = "best") -> TranslationRun:
    """Open a run that translates or summarizes.

    Args:
        path: its folder.
        which: the checkpoint; the best one has the highest chrF on the dev sample.

    Raises:
        InputError: there is no translation run, or it has no such checkpoint.
    """
    run = find_run(path)
    if (task := task_of(run)) not in (TRANSLATION, SUMMARIZATION):
        raise InputError(
            f"{path}: expected a run that translates, it is one of {task}; `xformer finetune translate {path}"
            " --train FILES --out NEW` makes one from it"
        )
    config, tokenizer = run.load_config(TranslationConfig), open_text_tokenizer(run)
    vocabulary = Vocabulary.of(tokenizer, config.translation.targets)
    checkpoint = open_checkpoint(run, which)
    model = blank_model(config, vocabulary)
    checkpoint.load_model(model)
    if config.translation.averaging:
        # The mean of the weights is in the optimizer's file, which is compared with its hash, too.
        load_averages(model, verified_checkpoint(checkpoint.path).whole("optimizer"))
    return TranslationRun(run, config, tokenizer, vocabulary, model.eval(), checkpoint.state)
