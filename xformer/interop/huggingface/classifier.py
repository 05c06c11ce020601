"""A fine-tuned classifier as `ModernBertForSequenceClassification`.

Theirs has a dense layer, an activation, LayerNorm and a linear layer on the mean of the tokens. Ours divides
the vector by its root mean square and has a linear layer. Theirs holds ours if the dense layer turns the
vector, by a matrix with orthonormal columns, into coordinates whose sum is zero: then LayerNorm divides by
the root mean square and no more. The activation is the identity.

Shapes: C d_model, D coordinates that the head reads, N classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.families import family_of

_LARGE = 1000.0
"""Factor of the dense layer, so that what LayerNorm adds to the variance is nothing beside it."""


def check_classifier(config: ModelConfig, width: int, hidden: int) -> None:
    """Check that the architecture holds the classifier.

    Args:
        config: the model's settings.
        width: D.
        hidden: width of the head's hidden layer; 0 for none.

    Raises:
        InputError: it does not; the message names the setting.
    """
    if (family := family_of(config)) != "modernbert":
        raise InputError(
            f"model.norm_position: only ModernBERT's classifier takes the mean of the tokens, not {family}'s"
        )
    if hidden:
        raise InputError(f"classifier.hidden: ModernBERT's head has no such layer; expected 0, got {hidden}")
    if width >= config.d_model:
        raise InputError(
            "classifier.coordinates: ModernBERT's head, with LayerNorm, holds one that reads fewer than all"
            f" {config.d_model} coordinates; expected 'shared' with model.pooled_dim_fraction below 1"
        )


def classifier_weights(config: ModelConfig, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """The weights of their head, by their names.

    Args:
        config: the model's settings.
        weight: (N, D) of our linear layer.
        bias: (N,).
    """
    width, wide = weight.shape[1], config.d_model
    turn = _without_sum(wide)[:, :width]
    dense = torch.zeros(wide, wide, dtype=torch.float64)
    dense[:, :width] = _LARGE * turn
    # LayerNorm gives a vector of length √C, root-mean-square normalisation one of √D.
    out = (width / wide) ** 0.5 * weight.double() @ turn.T
    found = {
        "head.dense.weight": dense,
        "head.norm.weight": torch.ones(wide, dtype=torch.float64),
        "classifier.weight": out,
        "classifier.bias": bias.double(),
    }
    if config.bias:
        found |= {f"head.{part}.bias": torch.zeros(wide, dtype=torch.float64) for part in ("dense", "norm")}
    return {name: value.to(weight.dtype) for name, value in found.items()}


def classifier_fields(labels: Sequence[str], multi_label: bool) -> dict[str, Any]:
    """The fields of `config.json` that make it a classifier."""
    return {
        "architectures": ["ModernBertForSequenceClassification"],
        "classifier_pooling": "mean",
        "classifier_activation": "linear",
        "classifier_dropout": 0.0,
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
        "problem_type": "multi_label_classification" if multi_label else "single_label_classification",
    }


def _without_sum(size: int) -> Tensor:
    """Orthonormal columns (C, C-1), each with sum zero (Helmert's matrix)."""
    columns = torch.zeros(size, size - 1, dtype=torch.float64)
    for k in range(1, size):
        columns[:k, k - 1] = 1.0
        columns[k, k - 1] = -k
        columns[:, k - 1] /= (k * (k + 1)) ** 0.5
    return columns
