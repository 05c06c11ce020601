"""The parameter groups of the optimizer, with their learning rates."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from xformer.model.cpu import EmbeddingTable
from xformer.model.multilingual import MultilingualModel
from xformer.runs.config import OptimizerConfig
from xformer.training.optimizer import AdamWithTables


def make_optimizer(model: MultilingualModel, config: OptimizerConfig) -> AdamWithTables:
    """Group the parameters and build the optimizer.

    Matrices have weight decay. The embedding has none and a higher rate, since a row has a gradient only when
    its token occurs. Vectors (norms, biases, pooling) have no weight decay. The bigram table, of which a step
    uses few rows, takes row-wise AdaGrad.

    Args:
        model: the model to train.
        config: rates and decay.
    """
    tables: dict[Tensor, EmbeddingTable] = {table.weight: table for table in model.encoder.embeddings.tables}
    embedding, *bigrams = tables
    matrices: list[Tensor] = []
    vectors: list[Tensor] = []
    for parameter in model.parameters():
        if parameter.requires_grad and parameter not in tables:
            (matrices if parameter.ndim >= 2 else vectors).append(parameter)
    members = {"matrices": matrices, "embedding": [embedding], "vectors": vectors, "bigrams": bigrams}
    groups: list[dict[str, Any]] = [
        {
            "name": name,
            "params": members[name],
            "lr": rate,
            "weight_decay": config.weight_decay if name == "matrices" else 0.0,
            "by_row": name == "bigrams",
        }
        for name, rate in config.rates.items()
    ]
    return AdamWithTables(groups, tables, (config.beta1, config.beta2))
