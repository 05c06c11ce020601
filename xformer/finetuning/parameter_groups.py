"""The parameter groups of fine-tuning: learning rates that fall from the head to the embedding."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from xformer.finetuning.config import FinetuningOptimizer
from xformer.finetuning.model import FinetunedModel
from xformer.model.cpu import EmbeddingTable
from xformer.training.optimizer import AdamWithTables


def layer_rates(config: FinetuningOptimizer, n_layers: int) -> dict[str, float]:
    """The learning rate of each part of the encoder, by name (Howard and Ruder 2018).

    >>> layer_rates(FinetuningOptimizer(lr=1.0, layer_decay=0.5, embedding_lr=1.0), 2)
    {'embedding': 0.25, 'layer 0': 0.5, 'layer 1': 1.0}

    Args:
        config: rates and decay.
        n_layers: number of blocks that are run.
    """
    rates = {"embedding": config.lr * config.layer_decay**n_layers * config.embedding_lr}
    for layer in range(n_layers):
        rates[f"layer {layer}"] = config.lr * config.layer_decay ** (n_layers - 1 - layer)
    return rates


def freeze_unused(model: FinetunedModel) -> None:
    """Turn off the gradients of what does not learn: blocks that are not run, tables with a rate of 0."""
    config = model.config
    for layer, block in enumerate(model.encoder.layers):
        block.requires_grad_(layer < config.layers)
    if config.optimizer.embedding_lr == 0:
        model.encoder.embeddings.requires_grad_(False)
    if config.classifier.frozen:
        model.encoder.requires_grad_(False)
        model.pooling.requires_grad_(False)
    if not model.head.pools:
        model.pooling.requires_grad_(False)
    if not config.model.pool_after_norm:
        model.encoder.final_norm.requires_grad_(False)


def make_optimizer(model: FinetunedModel) -> AdamWithTables:
    """Group the parameters that learn, and build the optimizer.

    Matrices have weight decay; embeddings, norms and biases have none. The head's group has all that stands
    after the blocks.
    """
    config, encoder = model.config.optimizer, model.encoder
    rates = layer_rates(config, model.config.layers)
    tables: dict[Tensor, EmbeddingTable] = {table.weight: table for table in encoder.embeddings.tables}
    members: dict[str, list[Tensor]] = {name: [] for name in (*rates, "head")}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            members[_part(name)].append(parameter)
    groups: list[dict[str, Any]] = []
    for part, parameters in members.items():
        rate = rates.get(part, config.head_lr)
        matrices = [one for one in parameters if one.ndim >= 2 and one not in tables]
        others = [one for one in parameters if one.ndim < 2 or one in tables]
        shrunk = config.head_weight_decay if part == "head" else config.weight_decay
        for name, chosen, decay in ((part, matrices, shrunk), (f"{part} vectors", others, 0.0)):
            if chosen:
                groups.append({"name": name, "params": chosen, "lr": rate, "weight_decay": decay})
    learning = {weight: table for weight, table in tables.items() if weight.requires_grad}
    return AdamWithTables(groups, learning, (config.beta1, config.beta2))


def _part(name: str) -> str:
    """The part of the model that a parameter belongs to, as `layer_rates` names it."""
    if name.startswith("encoder.layers."):
        return f"layer {name.split('.')[2]}"
    return "embedding" if name.startswith(("encoder.embeddings.", "encoder.relative_bias.")) else "head"
