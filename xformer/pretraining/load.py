"""A pretraining run from disk: its settings, its tokenizer, and its model."""

from __future__ import annotations

import os

import torch

from xformer.errors import InputError
from xformer.model.init import take_memory
from xformer.model.multilingual import MultilingualModel
from xformer.runs.checkpoint import Checkpoint, TrainingState
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.opening import open_checkpoint
from xformer.tokenizer import Tokenizer, TokenizerError


def load_run(
    path: str | os.PathLike[str],
) -> tuple[RunDirectory, RunConfig, MultilingualModel, TrainingState]:
    """A run's folder, settings, model with its newest weights, in evaluation mode, and state.

    Raises:
        InputError: there is no run, or it has no complete checkpoint.
    """
    run = find_run(path)
    config = run.load_config()
    checkpoint = open_checkpoint(run)
    return run, config, load_model(config, checkpoint), checkpoint.state


def load_model(config: RunConfig, checkpoint: Checkpoint) -> MultilingualModel:
    """The model of a checkpoint, in evaluation mode. No random number is drawn.

    Raises:
        InputError: the checkpoint has other weights than the model of these settings.
    """
    with torch.device("meta"):
        model = MultilingualModel(config.model, config.objectives.pooling)
    take_memory(model)
    checkpoint.load_model(model)
    return model.eval()


def open_tokenizer(run: RunDirectory) -> Tokenizer:
    """The tokenizer of a run.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        return Tokenizer.load(run.tokenizer)
    except TokenizerError as error:
        raise InputError(str(error)) from error
