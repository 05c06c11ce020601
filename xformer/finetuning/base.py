"""The pretrained run that fine-tuning begins from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch

from xformer.errors import InputError
from xformer.finetuning.config import BaseConfig, FinetuningConfig
from xformer.finetuning.model import FinetunedModel
from xformer.model.config import ModelConfig
from xformer.model.init import take_memory
from xformer.pretraining.pretrained import open_pretrained
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.kind import CLASSIFICATION, task_of
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write


def base_of(base: str | os.PathLike[str], new: str | os.PathLike[str]) -> tuple[BaseConfig, ModelConfig]:
    """What a fine-tuning run begins from: as it began, if it has; else the newest checkpoint of a run.

    Args:
        base: the folder of the pretrained run.
        new: the folder of the fine-tuning run; it may be missing.

    Raises:
        InputError: there is no run of pretraining, or it has no checkpoint, or the run began from another.
    """
    begun = RunDirectory(Path(new))
    if begun.config.is_file() and task_of(begun) == CLASSIFICATION:
        config = begun.load_config(FinetuningConfig)
        if config.base.run != os.fspath(base):
            raise InputError(
                f"{begun.config}: this run began from {config.base.run}, not {base}. Give the same, or"
                " another run directory"
            )
        return config.base, config.model
    opened = open_pretrained(base)
    settings = opened.settings
    return (
        BaseConfig(
            run=os.fspath(base),
            step=opened.state.step,
            pooling=settings.pooling,
            max_length=settings.max_length,
        ),
        settings.model,
    )


def copy_tokenizer(run: RunDirectory, base: BaseConfig) -> None:
    """Copy the tokenizer of the pretrained run into a new run, if it has none."""
    source = RunDirectory(Path(base.run))
    if source.tokenizer_folder.is_dir():
        if not run.tokenizer_folder.is_dir():
            with atomic_folder(run.tokenizer_folder) as scratch:
                shutil.copytree(source.tokenizer_folder, scratch, dirs_exist_ok=True)
    elif not run.tokenizer.is_file():
        with source.tokenizer.open("rb") as original, atomic_write(run.tokenizer, "wb") as copy:
            shutil.copyfileobj(original, copy)


def begin_model(run: RunDirectory, config: FinetuningConfig) -> FinetunedModel:
    """A model with the weights of a run's newest checkpoint; without one, those that the run begins with.

    A run with a checkpoint needs the pretrained run no more. Its weights are wanted before training goes on,
    because where the encoder does not learn, texts are encoded once, at the start.

    Raises:
        InputError: the pretrained run is gone, or has no checkpoint of that step any more.
    """
    saved = newest_checkpoint(run.checkpoints)
    if saved is None:
        return new_model(config)
    torch.manual_seed(config.training.seed)
    model = FinetunedModel(config)
    saved.load_model(model)
    return model


def new_model(config: FinetuningConfig) -> FinetunedModel:
    """A model over the encoder of the pretrained run; its head has random weights from the seed.

    Raises:
        InputError: as `begin_model`.
    """
    torch.manual_seed(config.training.seed)
    model = FinetunedModel(config)
    if config.base.init == "pretrained":
        pretrained = open_pretrained(config.base.run, config.base.step).network
        model.encoder.load_state_dict(pretrained.encoder.state_dict())
        if config.classifier.coordinates == "shared":
            model.pooling.load_state_dict(pretrained.pooling.state_dict())
    return model


def blank_model(config: FinetuningConfig) -> FinetunedModel:
    """A model whose weights are undefined, to load a checkpoint into. No random number is drawn."""
    with torch.device("meta"):
        model = FinetunedModel(config)
    take_memory(model)
    return model.eval()
