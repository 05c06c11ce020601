"""AdamW in three groups: matrices, the embedding, and all that is a vector."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from xformer.run_config import OptimizerConfig


def make_optimizer(model: nn.Module, embedding: Tensor, config: OptimizerConfig) -> torch.optim.AdamW:
    """Group the parameters and build the optimizer.

    Matrices decay. The embedding does not, and learns faster: a row sees a gradient only when its subword
    occurs. Vectors (norms, biases, pooling) do not decay either.

    Args:
        model: whose parameters to train.
        embedding: the embedding matrix, one of them.
        config: rates and decay.
    """
    matrices: list[Tensor] = []
    vectors: list[Tensor] = []
    for parameter in model.parameters():
        if parameter is not embedding and parameter.requires_grad:
            (matrices if parameter.ndim >= 2 else vectors).append(parameter)
    groups = [
        {"name": "matrices", "params": matrices, "lr": config.lr, "weight_decay": config.weight_decay},
        {"name": "embedding", "params": [embedding], "lr": config.embedding_lr, "weight_decay": 0.0},
        {"name": "vectors", "params": vectors, "lr": config.vector_lr, "weight_decay": 0.0},
    ]
    for group in groups:
        group["base_lr"] = group["lr"]
    return torch.optim.AdamW(groups, betas=(config.beta1, config.beta2), eps=1e-8, fused=True)


def set_learning_rates(optimizer: torch.optim.Optimizer, factors: Mapping[str, float]) -> None:
    """Set each group's learning rate to its own times its factor, by the group's name."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factors[group["name"]]


def clip_gradients(optimizer: torch.optim.Optimizer, limit: float) -> Tensor:
    """Scale each group's gradient down to the norm `limit`; 0 leaves them as they are.

    Returns:
        The largest norm of a group's gradient before: not finite if any gradient is not.
    """
    # Of a group that took no part, PyTorch's norm is a zero on the CPU, wherever the others are.
    taking_part = [
        [parameter for parameter in group["params"] if parameter.grad is not None]
        for group in optimizer.param_groups
    ]
    norms = [nn.utils.clip_grad_norm_(group, limit or float("inf")) for group in taking_part if group]
    # Of gradients that each process has a part of, the norm is still to be put together.
    return torch.stack([getattr(norm, "full_tensor", norm.clone)() for norm in norms]).max()
