"""The pretrained run that fine-tuning begins from."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from xformer.errors import InputError
from xformer.finetuning.config import BaseConfig, ClassifierConfig, FinetuningConfig, HeadKind
from xformer.finetuning.heads.head import Head
from xformer.finetuning.model import FinetunedModel
from xformer.model.config import ModelConfig
from xformer.model.init import take_memory
from xformer.pretraining.pretrained import PretrainedRun, open_pretrained
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.imported import ImportedConfig
from xformer.runs.kind import CLASSIFICATION, task_of


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
            family=opened.config.source.family if isinstance(opened.config, ImportedConfig) else "own",
        ),
        settings.model,
    )


def fitted_to(base: BaseConfig, classifier: ClassifierConfig) -> ClassifierConfig:
    """What is predicted, by the head that the architecture of an imported run has in transformers.

    A probe, whose encoder does not learn, reads the run's sentence vectors, and pairs are read apart; both
    have heads of this project.
    """
    own = base.family == "own" or classifier.head != "own"
    if own or classifier.frozen or classifier.example == "pair":
        return classifier
    return replace(classifier, head=base.family, coordinates="all")


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
        opened = open_pretrained(config.base.run, config.base.step)
        pretrained = opened.network
        model.encoder.load_state_dict(pretrained.encoder.state_dict())
        if config.classifier.coordinates == "shared":
            model.pooling.load_state_dict(pretrained.pooling.state_dict())
        if config.classifier.head != "own":
            _begin_head(model.head, config.classifier.head, opened)
    return model


@torch.no_grad()
def _begin_head(head: Head, kind: HeadKind, opened: PretrainedRun) -> None:
    """The weights that transformers begins with: BERT's pooler, the layers before ModernBERT's decoder."""
    if head.dense is None:
        return
    if kind == "modernbert" and opened.masked_lm_gap is None:
        head.load_state_dict(opened.network.masked_lm.head.state_dict(), strict=False)
    elif kind == "bert" and opened.run.left_weights.is_file():
        left = load_file(opened.run.left_weights)
        for name, weight in head.dense.named_parameters():
            found = [value for key, value in left.items() if key.endswith(f"pooler.dense.{name}")]
            if found and found[0].shape == weight.shape:
                weight.copy_(found[0])


def blank_model(config: FinetuningConfig) -> FinetunedModel:
    """A model whose weights are undefined, to load a checkpoint into. No random number is drawn."""
    with torch.device("meta"):
        model = FinetunedModel(config)
    take_memory(model)
    return model.eval()
