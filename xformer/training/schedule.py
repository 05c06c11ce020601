"""How far the run is, and what the learning rate is there."""

from __future__ import annotations

from dataclasses import dataclass

from xformer.runs.config import OptimizerConfig, TrainingConfig, seconds


@dataclass(frozen=True)
class Span:
    """The length of a run: in steps, or in seconds of training.

    Attributes:
        steps: number of steps, or None.
        budget: seconds, or None; exactly one is set.
    """

    steps: int | None
    budget: float | None

    @classmethod
    def of(cls, config: TrainingConfig) -> Span:
        """The span that the settings ask for."""
        return cls(config.steps, None if config.budget is None else seconds(config.budget))

    def progress(self, step: int, elapsed: float) -> float:
        """Share of the run that is over before step number `step`, `elapsed` seconds in: from 0 to 1."""
        share = step / self.steps if self.steps is not None else elapsed / (self.budget or 1.0)
        return min(share, 1.0)


def learning_rate_factor(progress: float, config: OptimizerConfig) -> float:
    """Warm-up, stable, decay (Hu et al. 2024): linear up, flat, linear down to `final_lr`.

    Args:
        progress: share of the run that is over.
        config: the shares of warm-up and decay.

    Returns:
        What the learning rates are multiplied with.
    """
    up = (progress + 1e-3) / config.warmup if config.warmup else 1.0
    down = (1.0 - progress) / config.decay if config.decay else 1.0
    down = config.final_lr + (1.0 - config.final_lr) * min(1.0, down)
    return min(1.0, up, down)
