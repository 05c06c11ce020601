"""A classifier of Hugging Face becomes a run that is used as one of `xformer finetune`.

Shapes: C d_model, N classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.finetuning.config import BaseConfig, ClassifierConfig, FinetuningConfig, HeadKind
from xformer.finetuning.model import FinetunedModel
from xformer.interop.huggingface.library_heads import Unit, labels_of, their_head_names
from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.runs.imported import SourceConfig


def classifier_config(
    source: SourceConfig,
    model: ModelConfig,
    fields: Mapping[str, Any],
    unit: Unit,
    head: Mapping[str, Tensor],
    max_length: int,
) -> FinetuningConfig:
    """The settings of the run.

    Args:
        source: where the classifier comes from.
        model: the architecture of its encoder.
        fields: of its `config.json`.
        unit: what gets a label.
        head: weights of its head, by our names.
        max_length: longest sequence in tokens.

    Raises:
        InputError: it gives no labels, or a field has a value that is not supported.
    """
    labels = labels_of(fields, unit, len(head["out.weight"]))
    base = BaseConfig(
        source.name, 0, pooling=_pooling(source, fields), max_length=max_length, family=source.family
    )
    try:
        classifier = ClassifierConfig(
            labels.names,
            example=unit,
            multi_label=labels.multi_label,
            head=_head(source, fields),
            coordinates="all",
            dropout=_dropout(source, fields),
            max_tokens=max_length,
        )
    except ValueError as error:
        raise InputError(f"config.json: {error}") from error
    return FinetuningConfig(base, model, classifier, source=source)


def classifier_network(
    config: FinetuningConfig, encoder: Encoder, head: Mapping[str, Tensor]
) -> FinetunedModel:
    """The model whose weights are saved, in float32.

    Raises:
        InputError: a weight of the head has another shape, or is none of it.
    """
    with torch.device("meta"):
        network = FinetunedModel(config)
    network.encoder = encoder
    wanted = network.head.state_dict()
    assert config.source is not None
    family = config.source.family
    unit: Unit = "words" if config.classifier.example == "words" else "text"
    theirs = {
        name: next(iter(their_head_names(family, unit, {name: torch.empty(0)})))
        for name in wanted.keys() | head.keys()
    }
    for name in sorted(wanted.keys() | head.keys()):
        if name not in wanted or name not in head:
            said = "is missing" if name in wanted else "is not a weight of a model with these settings"
            raise InputError(f"weights: {theirs[name]} {said}")
        if wanted[name].shape != head[name].shape:
            raise InputError(
                f"weights: {theirs[name]} is {tuple(head[name].shape)}, expected {tuple(wanted[name].shape)}"
            )
    network.head.load_state_dict(dict(head), assign=True)
    return network.float().eval()


def _pooling(source: SourceConfig, fields: Mapping[str, Any]) -> Literal["mean", "first"]:
    if source.family != "modernbert":
        return "first"
    given = fields.get("classifier_pooling", "cls")
    if given not in ("cls", "mean"):
        raise InputError(f"classifier_pooling: expected 'cls' or 'mean', got {given!r}")
    return "first" if given == "cls" else "mean"


def _head(source: SourceConfig, fields: Mapping[str, Any]) -> HeadKind:
    linear = source.family == "modernbert" and fields.get("classifier_activation") == "linear"
    return "modernbert-identity" if linear else source.family


def _dropout(source: SourceConfig, fields: Mapping[str, Any]) -> float:
    match source.family:
        case "modernbert":
            value = fields.get("classifier_dropout", 0.0)
        case "distilbert":
            value = fields.get("seq_classif_dropout", 0.2)
        case _:
            value = fields.get("classifier_dropout")
            value = fields.get("hidden_dropout_prob", 0.1) if value is None else value
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InputError(f"classifier dropout: expected a probability, got {value!r}")
    return float(value)
