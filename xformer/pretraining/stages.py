"""The two stages of pretraining, and the learning rates in them."""

from __future__ import annotations

from xformer.runs.config import OptimizerConfig
from xformer.training.schedule import learning_rate_factor

EMBEDDING_WARMUP = "embedding_warmup"
"""The first stage: the embedding learns alignment, and no block is run."""

FULL = "full"
"""The second stage: the whole model learns all objectives."""


def depth_of(stage: str) -> int | None:
    """How many blocks are run in a stage: none before the full one; None for all."""
    return None if stage == FULL else 0


def group_factors(progress: float, warmup_share: float, config: OptimizerConfig) -> dict[str, float]:
    """What the learning rate of each parameter group is multiplied by.

    The schedule of the blocks begins with the full stage. The rates of the embedding and of bigrams are flat
    at first, fall over the second half of the warm-up to their rates beside the blocks, and then follow the
    schedule of the blocks: the embedding needs that fall to settle, and blocks need an input that changes
    slowly.

    Args:
        progress: share of the run that is over.
        warmup_share: share of the run that the embedding warm-up takes.
        config: the shares of warm-up and decay.
    """
    in_full = max(0.0, (progress - warmup_share) / (1.0 - warmup_share)) if warmup_share < 1.0 else 0.0
    blocks = learning_rate_factor(in_full, *config.schedule)
    falling = min(1.0, 2.0 * (1.0 - progress / warmup_share)) if progress < warmup_share else 0.0

    def of_a_table(first: float, beside_blocks: float) -> float:
        settled = beside_blocks / first
        return settled + (1.0 - settled) * falling if progress < warmup_share else settled * blocks

    return {
        "matrices": blocks,
        "vectors": blocks,
        "embedding": of_a_table(config.embedding_lr, config.full_embedding_lr),
        "bigrams": of_a_table(config.bigram_lr, config.full_bigram_lr),
    }
