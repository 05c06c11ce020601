"""A pretrained model from disk, whoever trained it: a run of `xformer pretrain` or of `xformer import`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

from xformer.data.manifest import Manifest
from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.heads import PoolingKind
from xformer.model.init import take_memory
from xformer.model.multilingual import MultilingualModel
from xformer.model.projection import Projection
from xformer.pretraining.abilities import masked_lm_gap
from xformer.pretraining.load import load_model, open_tokenizer
from xformer.runs.checkpoint import Checkpoint, TrainingState
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.imported import ImportedConfig
from xformer.runs.kind import IMPORTED, PRETRAINING, task_of
from xformer.runs.opening import Which, open_checkpoint
from xformer.runs.sentence_layer import SentenceLayer, recorded_layer
from xformer.tokenizer.interface import TextTokenizer


class HasModelConfig(Protocol):
    """The settings of a run of any task."""

    @property
    def model(self) -> ModelConfig:
        """The architecture."""


@dataclass(frozen=True)
class PretrainedSettings:
    """What of a run's settings those need who use its model.

    Attributes:
        model: the architecture.
        pooling: how the tokens of a text become one vector.
        max_length: longest sequence that the model reads at once, in tokens.
        cuts: whether the rest of a longer text is left out, as the model's own library does; otherwise such a
            text is read in several parts.
        normalise: whether vectors have length 1 unless asked otherwise.
        prompts: texts that may stand in front of a text, by name.
        default_prompt: the name of the one that does unless asked otherwise.
    """

    model: ModelConfig
    pooling: PoolingKind
    max_length: int
    cuts: bool = False
    normalise: bool = True
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None


@dataclass(frozen=True)
class PretrainedRun:
    """A run with a pretrained model, opened, on the host and in evaluation mode.

    Attributes:
        run: its folder.
        config: all settings of the run.
        settings: those that decide about outputs.
        tokenizer: of the model.
        network: the model; without `masked_lm` where an imported one has none.
        state: of the checkpoint.
        layer: number of blocks after which vectors are taken; None where that was not chosen yet.
        masked_lm_gap: why it cannot fill masks; None if it can.
    """

    run: RunDirectory
    config: HasModelConfig
    settings: PretrainedSettings
    tokenizer: TextTokenizer
    network: MultilingualModel
    state: TrainingState
    layer: SentenceLayer | None
    masked_lm_gap: str | None

    @property
    def languages(self) -> tuple[str, ...]:
        """Tags of the languages that it was trained on, sorted; empty for an imported model.

        Raises:
            InputError: a run of `xformer pretrain` has no manifest.
        """
        if isinstance(self.config, ImportedConfig):
            return ()
        return tuple(sorted(Manifest.read(self.run.path).split("train").languages))


def open_pretrained(path: str | os.PathLike[str], which: Which = "newest") -> PretrainedRun:
    """Open a run with a pretrained model.

    Raises:
        InputError: there is no run, it is of another task, it has no such checkpoint, or a file is damaged.
    """
    run = find_run(path)
    task = task_of(run)
    if task == IMPORTED:
        return _imported(run, which)
    if task != PRETRAINING:
        raise InputError(f"{path}: expected a run of {PRETRAINING} or {IMPORTED}, it is one of {task}")
    config, tokenizer = run.load_config(), open_tokenizer(run)
    checkpoint = open_checkpoint(run, which)
    return PretrainedRun(
        run,
        config,
        PretrainedSettings(config.model, config.objectives.pooling, config.data.max_length),
        tokenizer,
        load_model(config, checkpoint),
        checkpoint.state,
        recorded_layer(run, checkpoint.state.step),
        masked_lm_gap(run.path, config, checkpoint.state.stage),
    )


def open_text_tokenizer(run: RunDirectory) -> TextTokenizer:
    """The tokenizer of a run of any task.

    Raises:
        InputError: it is missing or damaged.
    """
    if not run.tokenizer_folder.is_dir():
        return open_tokenizer(run)
    from xformer.tokenizer.errors import TokenizerError
    from xformer.tokenizer.folder import open_folder

    try:
        return open_folder(run.tokenizer_folder)
    except TokenizerError as error:
        raise InputError(str(error)) from error


def _imported(run: RunDirectory, which: Which) -> PretrainedRun:
    config, tokenizer = run.load_config(ImportedConfig), open_text_tokenizer(run)
    checkpoint, vectors, source = open_checkpoint(run, which), config.vectors, config.source
    gap = None if source.masked_lm else f"{run.path}: the model of {source.name} has no masked-LM head"
    return PretrainedRun(
        run,
        config,
        PretrainedSettings(
            config.model,
            vectors.pooling,
            vectors.max_length,
            True,
            vectors.normalise,
            vectors.prompts,
            vectors.default_prompt,
        ),
        tokenizer,
        _network(config, checkpoint),
        checkpoint.state,
        SentenceLayer(checkpoint.state.step, config.model.n_layers, []),
        gap,
    )


def _network(config: ImportedConfig, checkpoint: Checkpoint) -> MultilingualModel:
    with torch.device("meta"):
        model = MultilingualModel(config.model, config.vectors.pooling, projections_of(config))
    if not config.source.masked_lm:
        del model.masked_lm
    take_memory(model)
    checkpoint.load_model(model)
    return model.eval()


def projections_of(config: ImportedConfig) -> list[Projection]:
    """The layers behind the pooling, with random weights."""
    found, width = [], config.model.pooled_dim
    for dense in config.vectors.dense:
        found.append(Projection(width, dense.width, dense.bias, dense.activation))
        width = dense.width
    return found
