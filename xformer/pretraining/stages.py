"""The two stages of pretraining, and their learning rates."""

from __future__ import annotations

from xformer.runs.config import OptimizerConfig
from xformer.training.schedule import learning_rate_factor

EMBEDDING_WARMUP = "embedding_warmup"
"""The first stage: the alignment alone trains the embedding, and no blocks are run."""

FULL = "full"
"""The second stage: all objectives train the whole model."""


def depth_of(stage: str) -> int | None:
    """Number of blocks that are run in a stage; None for all."""
    return None if stage == FULL else 0


def group_factors(progress: float, warmup_share: float, config: OptimizerConfig) -> dict[str, float]:
    """The factor of the learning rate of each parameter group.

    The schedule of the blocks starts with the full stage. The rates of the embedding and of the bigram table
    are constant in the first half of the warm-up, fall in its second half to their rates of the full stage,
    and then follow the schedule of the blocks. The fall lets the embedding converge, so that the input of the
    blocks changes slowly.

    Args:
        progress: share of the run that is done.
        warmup_share: share of the run that is the embedding warm-up.
        config: the shares of warm-up and decay.
    """
    in_full = max(0.0, (progress - warmup_share) / (1.0 - warmup_share)) if warmup_share < 1.0 else 0.0
    blocks = learning_rate_factor(in_full, *config.schedule)
    falling = min(1.0, 2.0 * (1.0 - progress / warmup_share)) if progress < warmup_share else 0.0

    def table_factor(warmup_lr: float, full_lr: float) -> float:
        settled = full_lr / warmup_lr
        return settled + (1.0 - settled) * falling if progress < warmup_share else settled * blocks

    return {
        "matrices": blocks,
        "vectors": blocks,
        "embedding": table_factor(config.embedding_lr, config.full_embedding_lr),
        "bigrams": table_factor(config.bigram_lr, config.full_bigram_lr),
    }
